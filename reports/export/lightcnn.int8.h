/* 8-16-32-gap, 8 bits. Written by search.export. */
#ifndef LIGHTCNN_INT8_H
#define LIGHTCNN_INT8_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LIGHTCNN_INT8_CHANNELS = 1,
    LIGHTCNN_INT8_HEIGHT = 28,
    LIGHTCNN_INT8_WIDTH = 28,
    LIGHTCNN_INT8_NUM_CLASSES = 10,
    LIGHTCNN_INT8_ARENA = 2352 /* values, 2,352 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: LIGHTCNN_INT8_CHANNELS * LIGHTCNN_INT8_HEIGHT * LIGHTCNN_INT8_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels.
 * scores: LIGHTCNN_INT8_NUM_CLASSES of them are written.
 * arena: LIGHTCNN_INT8_ARENA values to work in, which may hold anything and need not be kept between calls. */
void lightcnn_int8_classify(const uint8_t *image, float *scores, uint8_t *arena);

#ifdef __cplusplus
}
#endif

#endif
