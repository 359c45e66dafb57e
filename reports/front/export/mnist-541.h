/* 4vbn-4vbx2n-2svbd-3svb-pool3, float32. Written by search.export. */
#ifndef MNIST_541_H
#define MNIST_541_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_541_CHANNELS = 1,
    MNIST_541_HEIGHT = 28,
    MNIST_541_WIDTH = 28,
    MNIST_541_NUM_CLASSES = 10,
    MNIST_541_ARENA = 5008 /* values, 20,032 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_541_CHANNELS * MNIST_541_HEIGHT * MNIST_541_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_541_NUM_CLASSES of them are written.
 * arena: MNIST_541_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_541_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
