/* 5vbln-6svbl-7svbln-7svblp-pool2, float32. Written by search.export. */
#ifndef MNIST_643_H
#define MNIST_643_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_643_CHANNELS = 1,
    MNIST_643_HEIGHT = 28,
    MNIST_643_WIDTH = 28,
    MNIST_643_NUM_CLASSES = 10,
    MNIST_643_ARENA = 6260 /* values, 25,040 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_643_CHANNELS * MNIST_643_HEIGHT * MNIST_643_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_643_NUM_CLASSES of them are written.
 * arena: MNIST_643_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_643_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
