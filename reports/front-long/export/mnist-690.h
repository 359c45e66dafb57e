/* 4vbln-6svbl-8svbln-8svblp-pool2, float32. Written by search.export. */
#ifndef MNIST_690_H
#define MNIST_690_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_690_CHANNELS = 1,
    MNIST_690_HEIGHT = 28,
    MNIST_690_WIDTH = 28,
    MNIST_690_NUM_CLASSES = 10,
    MNIST_690_ARENA = 5008 /* values, 20,032 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_690_CHANNELS * MNIST_690_HEIGHT * MNIST_690_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_690_NUM_CLASSES of them are written.
 * arena: MNIST_690_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_690_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
