/* 13k5vbl-26sbln-26svblx2-pool2, float32. Written by search.export. */
#ifndef MNIST_2805_H
#define MNIST_2805_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_2805_CHANNELS = 1,
    MNIST_2805_HEIGHT = 28,
    MNIST_2805_WIDTH = 28,
    MNIST_2805_NUM_CLASSES = 10,
    MNIST_2805_ARENA = 6344 /* values, 25,376 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_2805_CHANNELS * MNIST_2805_HEIGHT * MNIST_2805_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_2805_NUM_CLASSES of them are written.
 * arena: MNIST_2805_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_2805_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
