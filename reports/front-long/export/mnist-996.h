/* 7vbln-9svbl-10svbln-10svblp-pool2, float32. Written by search.export. */
#ifndef MNIST_996_H
#define MNIST_996_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_996_CHANNELS = 1,
    MNIST_996_HEIGHT = 28,
    MNIST_996_WIDTH = 28,
    MNIST_996_NUM_CLASSES = 10,
    MNIST_996_ARENA = 8764 /* values, 35,056 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_996_CHANNELS * MNIST_996_HEIGHT * MNIST_996_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_996_NUM_CLASSES of them are written.
 * arena: MNIST_996_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_996_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
