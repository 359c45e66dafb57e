/* 8vbln-12svbl-18svbln-20svbl-24sbln-28svbl-gap, float32. Written by search.export. */
#ifndef MNIST_3034_H
#define MNIST_3034_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_3034_CHANNELS = 1,
    MNIST_3034_HEIGHT = 28,
    MNIST_3034_WIDTH = 28,
    MNIST_3034_NUM_CLASSES = 10,
    MNIST_3034_ARENA = 10016 /* values, 40,064 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_3034_CHANNELS * MNIST_3034_HEIGHT * MNIST_3034_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_3034_NUM_CLASSES of them are written.
 * arena: MNIST_3034_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_3034_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
