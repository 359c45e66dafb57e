/* 8vbln-10svbl-16svbln-16svbl-18sbln-20svbl-gap, float32. Written by search.export. */
#ifndef MNIST_2126_H
#define MNIST_2126_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_2126_CHANNELS = 1,
    MNIST_2126_HEIGHT = 28,
    MNIST_2126_WIDTH = 28,
    MNIST_2126_NUM_CLASSES = 10,
    MNIST_2126_ARENA = 10016 /* values, 40,064 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_2126_CHANNELS * MNIST_2126_HEIGHT * MNIST_2126_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_2126_NUM_CLASSES of them are written.
 * arena: MNIST_2126_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_2126_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
