/* 12k5vbl-18sbln-18svblx2-pool2, float32. Written by search.export. */
#ifndef MNIST_1888_H
#define MNIST_1888_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_1888_CHANNELS = 1,
    MNIST_1888_HEIGHT = 28,
    MNIST_1888_WIDTH = 28,
    MNIST_1888_NUM_CLASSES = 10,
    MNIST_1888_ARENA = 4392 /* values, 17,568 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_1888_CHANNELS * MNIST_1888_HEIGHT * MNIST_1888_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_1888_NUM_CLASSES of them are written.
 * arena: MNIST_1888_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_1888_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
