/* 12vbln-18svbl-32svbln-36svbl-44sbln-52svbl-gap, 8 bits. Written by search.export. */
#ifndef MNIST_7926_INT8_H
#define MNIST_7926_INT8_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_7926_INT8_CHANNELS = 1,
    MNIST_7926_INT8_HEIGHT = 28,
    MNIST_7926_INT8_WIDTH = 28,
    MNIST_7926_INT8_NUM_CLASSES = 10,
    MNIST_7926_INT8_ARENA = 15024 /* values, 15,024 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_7926_INT8_CHANNELS * MNIST_7926_INT8_HEIGHT * MNIST_7926_INT8_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels.
 * scores: MNIST_7926_INT8_NUM_CLASSES of them are written.
 * arena: MNIST_7926_INT8_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_7926_int8_classify(const uint8_t *image, float *scores, uint8_t *arena);

#ifdef __cplusplus
}
#endif

#endif
