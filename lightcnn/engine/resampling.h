// Copies of images under affine maps, bilinearly sampled, black where they read outside.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

// images, copies: [image][channel][row][column]; maps: of each image two rows of three numbers, by which pixel
// (x, y) of the copy is read at (m0 x + m1 y + m2, m3 x + m4 y + m5).
inline void resample(const float* images, int64_t count, int channels, int side, const float* maps,
                     float* copies) {
    const int width = side + 3;  // a border of one black pixel before the image and two behind
    const float limit = float(side + 1);
    const size_t pixels = size_t(side) * side;
    std::vector<float> bordered(size_t(width) * width);
    for (int64_t image = 0; image < count; image++, maps += 6)
        for (int channel = 0; channel < channels; channel++, images += pixels, copies += pixels) {
            for (int y = 0; y < side; y++)
                std::copy_n(images + y * side, side, &bordered[size_t(y + 1) * width + 1]);
            const float* __restrict from = bordered.data();
            for (int y = 0; y < side; y++) {
                const float start_x = maps[1] * y + maps[2] + 1, start_y = maps[4] * y + maps[5] + 1;
                const float step_x = maps[0], step_y = maps[3];
                float* __restrict to = copies + y * side;
                for (int x = 0; x < side; x++) {
                    // What is further outside is as black as the border.
                    const float at_x = std::min(std::max(step_x * x + start_x, 0.0f), limit);
                    const float at_y = std::min(std::max(step_y * x + start_y, 0.0f), limit);
                    const int left = int(at_x), top = int(at_y);
                    const float right_share = at_x - left, lower_share = at_y - top;
                    // By a pointer, not by numbers, of which compilers make gathers: these take longer.
                    const float* pixel = from + top * width + left;
                    const float upper = pixel[0] + right_share * (pixel[1] - pixel[0]);
                    const float lower = pixel[width] + right_share * (pixel[width + 1] - pixel[width]);
                    to[x] = upper + lower_share * (lower - upper);
                }
            }
        }
}
