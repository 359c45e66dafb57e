/* 16vbln-28svbl-48svbln-60svbl-72sbln-80svbl-gap, float32. Written by search.export. */
#ifndef MNIST_18026_H
#define MNIST_18026_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_18026_CHANNELS = 1,
    MNIST_18026_HEIGHT = 28,
    MNIST_18026_WIDTH = 28,
    MNIST_18026_NUM_CLASSES = 10,
    MNIST_18026_ARENA = 20032 /* values, 80,128 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_18026_CHANNELS * MNIST_18026_HEIGHT * MNIST_18026_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_18026_NUM_CLASSES of them are written.
 * arena: MNIST_18026_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_18026_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
