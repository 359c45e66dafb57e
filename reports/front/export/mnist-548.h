/* 4vbln-6svbl-6svbln-6svblp-pool2, float32. Written by search.export. */
#ifndef MNIST_548_H
#define MNIST_548_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_548_CHANNELS = 1,
    MNIST_548_HEIGHT = 28,
    MNIST_548_WIDTH = 28,
    MNIST_548_NUM_CLASSES = 10,
    MNIST_548_ARENA = 5008 /* values, 20,032 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_548_CHANNELS * MNIST_548_HEIGHT * MNIST_548_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_548_NUM_CLASSES of them are written.
 * arena: MNIST_548_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_548_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
