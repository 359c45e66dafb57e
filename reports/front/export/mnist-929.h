/* 8vbn-8k5svbx2-5sb-pool3, float32. Written by search.export. */
#ifndef MNIST_929_H
#define MNIST_929_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_929_CHANNELS = 1,
    MNIST_929_HEIGHT = 28,
    MNIST_929_WIDTH = 28,
    MNIST_929_NUM_CLASSES = 10,
    MNIST_929_ARENA = 9280 /* values, 37,120 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_929_CHANNELS * MNIST_929_HEIGHT * MNIST_929_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_929_NUM_CLASSES of them are written.
 * arena: MNIST_929_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_929_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
