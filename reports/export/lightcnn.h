/* 8-16-32-gap, float32. Written by search.export. */
#ifndef LIGHTCNN_H
#define LIGHTCNN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LIGHTCNN_CHANNELS = 1,
    LIGHTCNN_HEIGHT = 28,
    LIGHTCNN_WIDTH = 28,
    LIGHTCNN_NUM_CLASSES = 10,
    LIGHTCNN_ARENA = 2352 /* values, 9,408 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: LIGHTCNN_CHANNELS * LIGHTCNN_HEIGHT * LIGHTCNN_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: LIGHTCNN_NUM_CLASSES of them are written.
 * arena: LIGHTCNN_ARENA values to work in, which may hold anything and need not be kept between calls. */
void lightcnn_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
