/* 8-21-7-pool3, 8 bits. Written by search.export. */
#ifndef KNEE_INT8_H
#define KNEE_INT8_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    KNEE_INT8_CHANNELS = 1,
    KNEE_INT8_HEIGHT = 28,
    KNEE_INT8_WIDTH = 28,
    KNEE_INT8_NUM_CLASSES = 10,
    KNEE_INT8_ARENA = 2597 /* values, 2,597 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: KNEE_INT8_CHANNELS * KNEE_INT8_HEIGHT * KNEE_INT8_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels.
 * scores: KNEE_INT8_NUM_CLASSES of them are written.
 * arena: KNEE_INT8_ARENA values to work in, which may hold anything and need not be kept between calls. */
void knee_int8_classify(const uint8_t *image, float *scores, uint8_t *arena);

#ifdef __cplusplus
}
#endif

#endif
