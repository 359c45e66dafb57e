/* 7vbn-7k5svbx2-3sb-pool3, float32. Written by search.export. */
#ifndef MNIST_668_H
#define MNIST_668_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_668_CHANNELS = 1,
    MNIST_668_HEIGHT = 28,
    MNIST_668_WIDTH = 28,
    MNIST_668_NUM_CLASSES = 10,
    MNIST_668_ARENA = 8120 /* values, 32,480 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_668_CHANNELS * MNIST_668_HEIGHT * MNIST_668_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_668_NUM_CLASSES of them are written.
 * arena: MNIST_668_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_668_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
