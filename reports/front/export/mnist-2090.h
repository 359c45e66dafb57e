/* 12k5vbl-20sbln-20svblx2-pool2, float32. Written by search.export. */
#ifndef MNIST_2090_H
#define MNIST_2090_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MNIST_2090_CHANNELS = 1,
    MNIST_2090_HEIGHT = 28,
    MNIST_2090_WIDTH = 28,
    MNIST_2090_NUM_CLASSES = 10,
    MNIST_2090_ARENA = 4880 /* values, 19,520 bytes */
};

/* The score of each class; the largest marks the image's.
 * image: MNIST_2090_CHANNELS * MNIST_2090_HEIGHT * MNIST_2090_WIDTH values, channel by channel, row by row;
 *   the bytes of its pixels divided by 255, so from 0 to 1.
 * scores: MNIST_2090_NUM_CLASSES of them are written.
 * arena: MNIST_2090_ARENA values to work in, which may hold anything and need not be kept between calls. */
void mnist_2090_classify(const float *image, float *scores, float *arena);

#ifdef __cplusplus
}
#endif

#endif
