/* 12vbln-18svbl-32svbln-36svbl-44sbln-52svbl-gap, float32. Written by search.export. */
#ifndef MNIST_7926_H
#define MNIST_7926_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_7926_CHANNELS = 1,
    MNIST_7926_HEIGHT = 28,
    MNIST_7926_WIDTH = 28,
    MNIST_7926_NUM_CLASSES = 10,
    MNIST_7926_ARENA = 15024 /* values, 60,096 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_7926_CHANNELS * MNIST_7926_HEIGHT * MNIST_7926_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_7926_NUM_CLASSES of them are written.
 * arena: MNIST_7926_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_7926_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
