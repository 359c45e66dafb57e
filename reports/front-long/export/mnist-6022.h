/* 12vbln-16svbl-26svbln-30svbl-38sbln-44svbl-gap, float32. Written by search.export. */
#ifndef MNIST_6022_H
#define MNIST_6022_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_6022_CHANNELS = 1,
    MNIST_6022_HEIGHT = 28,
    MNIST_6022_WIDTH = 28,
    MNIST_6022_NUM_CLASSES = 10,
    MNIST_6022_ARENA = 15024 /* values, 60,096 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_6022_CHANNELS * MNIST_6022_HEIGHT * MNIST_6022_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_6022_NUM_CLASSES of them are written.
 * arena: MNIST_6022_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_6022_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
