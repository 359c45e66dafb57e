/* 12k5vbl-8svbln-8svblx2-pool2, float32. Written by search.export. */
#ifndef MNIST_998_H
#define MNIST_998_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_998_CHANNELS = 1,
    MNIST_998_HEIGHT = 28,
    MNIST_998_WIDTH = 28,
    MNIST_998_NUM_CLASSES = 10,
    MNIST_998_ARENA = 2928 /* values, 11,712 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_998_CHANNELS * MNIST_998_HEIGHT * MNIST_998_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_998_NUM_CLASSES of them are written.
 * arena: MNIST_998_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_998_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
