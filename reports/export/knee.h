/* 8-21-7-pool3, float32. Written by search.export. */
#ifndef KNEE_H
#define KNEE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    KNEE_CHANNELS = 1,
    KNEE_HEIGHT = 28,
    KNEE_WIDTH = 28,
    KNEE_NUM_CLASSES = 10,
    KNEE_ARENA = 2597 /* values, 10,388 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: KNEE_CHANNELS * KNEE_HEIGHT * KNEE_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: KNEE_NUM_CLASSES of them are written.
 * arena: KNEE_ARENA values to work in, which may hold anything and need not be kept between calls. */
void knee_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
