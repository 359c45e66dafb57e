// Convolution, ReLU and 2x2 max pooling, forward and backward, of 16 images at a time.
//
// Maps are [channel][row][column][16 images], so that everything is a vector operation over images,
// however few channels there are. A sum is held in a register from its first term to its last (or to the
// end of a band of rows, and goes on from there), and its terms come in an order that depends neither on
// the width of the vectors nor on how the channels and pixels were divided into blocks: that is why the
// bits are the same everywhere.
#pragma once
#include <algorithm>
#include <type_traits>
#include <vector>

#include "vectors.h"

// How many sums are held in registers at once: of 32 with AVX-512 and NEON, of 16 with AVX2.
#if defined(__AVX512F__) || defined(__ARM_NEON)
constexpr int WINDOW_CHANNELS = 4;  // times the 4 pixels of a pooling window
constexpr int STRIP_CHANNELS = 4;   // times STRIP neighbouring pixels
constexpr int STRIP = 4;
constexpr int GRADIENT_CHANNELS = 6;  // times 3 taps
constexpr int POINTWISE_CHANNELS = 4;  // times as many channels in
#else
constexpr int WINDOW_CHANNELS = 2;
constexpr int STRIP_CHANNELS = 4;
constexpr int STRIP = 3;
constexpr int GRADIENT_CHANNELS = 4;
constexpr int POINTWISE_CHANNELS = 3;
#endif

// Square or not, with a border of zeros that is never written. Strides are in vectors.
struct Maps {
    int channels = 0, height = 0, width = 0, border = 0;
    std::vector<Lanes> values;

    Maps() = default;
    Maps(int channels, int height, int width, int border)
        : channels(channels),
          height(height),
          width(width),
          border(border),
          values(size_t(channels) * (height + 2 * border) * (width + 2 * border)) {}
    int row() const { return (width + 2 * border) * PARTS; }
    int plane() const { return (height + 2 * border) * row(); }
    size_t offset(int channel, int y, int x) const {
        return size_t(channel) * plane() + (y + border) * row() + (x + border) * PARTS;
    }
    const Vector* at(int channel, int y, int x) const { return values[0].part + offset(channel, y, x); }
    Vector* at(int channel, int y, int x) { return values[0].part + offset(channel, y, x); }
};

// Weights as the inner loop reads them: [channel in][row][column][channel out].
struct Filter {
    int channels_in = 0, channels_out = 0, kernel = 0;
    std::vector<float> weights;
};

struct Convolution {
    int kernel, padding, side;  // `side`: of the convolution's own maps, before pooling
    bool pools;
    size_t weights_at, biases_at;  // among the network's parameters
    const Maps* input;             // its border is the padding
    Maps output;                   // after pooling and ReLU
    std::vector<uint8_t>
        winners;    // [channel][row][column][image]: which pixel of a window got through, or NONE
    Maps gradient;  // of the convolution's own maps; of the first layer, `band` rows from `top` on
    int top = 0;
    int band;  // rows of the output for which a gradient is made and used before the next
    Filter forward, backward;  // the second: in and out exchanged, rows and columns turned around
    std::vector<Lanes> weight_sums, bias_sums;  // gradients, not yet summed over the 16 images

    size_t winner_at(int channel, int y, int x, int part) const {
        return ((size_t(channel) * output.height + y) * output.width + x) * IMAGES + part * WIDTH;
    }
};

constexpr int NONE = 4;  // ReLU let nothing through

template <int N>
using Constant = std::integral_constant<int, N>;

// Calls do_block(first, Constant<size>) for blocks of at most MAX of `n` channels, as equal as can be.
template <int MAX, class DoBlock>
INLINE void in_blocks(int n, DoBlock do_block) {
    const int blocks = (n + MAX - 1) / MAX;
    for (int i = 0; i < blocks; i++) {
        const int first = n * i / blocks;
        switch (n * (i + 1) / blocks - first) {
            case 1: do_block(first, Constant<1>()); break;
            case 2: do_block(first, Constant<2>()); break;
            case 3:
                if constexpr (MAX >= 3) do_block(first, Constant<3>());
                break;
            case 4:
                if constexpr (MAX >= 4) do_block(first, Constant<4>());
                break;
            case 5:
                if constexpr (MAX >= 5) do_block(first, Constant<5>());
                break;
            case 6:
                if constexpr (MAX >= 6) do_block(first, Constant<6>());
                break;
        }
    }
}

// Adds to sums[c][p], of channels from `first` on and of pixels `steps` away from `corner`, all channels
// and taps.
template <int CHANNELS, int PIXELS, int KERNEL>
INLINE void correlate(Vector (&sums)[CHANNELS][PIXELS], const Maps& maps, const Vector* corner,
                      const int (&steps)[PIXELS], const Filter& filter, int first) {
    const int kernel = KERNEL ? KERNEL : filter.kernel;
    const int row = maps.row(), plane = maps.plane(), channels = filter.channels_out;
    const float* weight = filter.weights.data() + first;
    for (int in = 0; in < filter.channels_in; in++, corner += plane)
        for (int ky = 0; ky < kernel; ky++) {
            const Vector* at = corner + ky * row;
            UNROLL for (int kx = 0; kx < kernel; kx++, at += PARTS, weight += channels) {
                Vector x[PIXELS];
                UNROLL for (int p = 0; p < PIXELS; p++)
                    x[p] = at[steps[p]];
                UNROLL for (int c = 0; c < CHANNELS; c++) {
                    const Vector w = all(weight[c]);
                    UNROLL for (int p = 0; p < PIXELS; p++)
                        sums[c][p] = multiply_add(w, x[p], sums[c][p]);
                }
            }
        }
}

// ---- forward -------------------------------------------------------------------------

template <int CHANNELS, int KERNEL>
void pooled_row(Convolution& layer, const float* biases, int first, int y, int part) {
    const Maps& in = *layer.input;
    const int steps[4] = {0, PARTS, in.row(), in.row() + PARTS};
    const int border = in.border;
    for (int x = 0; x < layer.output.width; x++) {
        Vector sums[CHANNELS][4];
        UNROLL for (int c = 0; c < CHANNELS; c++)
            UNROLL for (int p = 0; p < 4; p++) sums[c][p] = all(biases[first + c]);
        correlate<CHANNELS, 4, KERNEL>(sums, in, in.at(0, 2 * y - border, 2 * x - border) + part, steps,
                                       layer.forward, first);
        UNROLL for (int c = 0; c < CHANNELS; c++) {
            Vector largest = sums[c][0];
            Integers winner = {};  // of equal pixels the first, as in PyTorch
            UNROLL for (int p = 1; p < 4; p++) {
                const Integers larger = sums[c][p] > largest;
                largest = larger ? sums[c][p] : largest;
                winner = larger ? Integers{} + p : winner;
            }
            winner = largest > 0.0f ? winner : Integers{} + NONE;
            Maps& out = layer.output;
            out.at(first + c, y, x)[part] = relu(largest);
            store_bytes(layer.winners.data() + layer.winner_at(first + c, y, x, part), winner);
        }
    }
}

// `emit(channel, y, x, part, values)` takes the results of neighbouring pixels.
template <int CHANNELS, int PIXELS, int KERNEL, int STRIDE, class Emit>
INLINE void strip(const Maps& in, const Filter& filter, const float* biases, int border, int first,
                  int y, int x, int part, Emit emit) {
    Vector sums[CHANNELS][PIXELS];
    int steps[PIXELS];
    UNROLL for (int p = 0; p < PIXELS; p++)
        steps[p] = p * STRIDE * PARTS;
    UNROLL for (int c = 0; c < CHANNELS; c++)
        UNROLL for (int p = 0; p < PIXELS; p++) sums[c][p] = all(biases ? biases[first + c] : 0.0f);
    correlate<CHANNELS, PIXELS, KERNEL>(
        sums, in, in.at(0, y * STRIDE - border, x * STRIDE - border) + part, steps, filter, first);
    UNROLL for (int c = 0; c < CHANNELS; c++)
        emit(first + c, y, x, part, sums[c]);
}

template <int CHANNELS, int KERNEL, int STRIDE, class Emit>
void row_in_strips(const Maps& in, const Filter& filter, const float* biases, int width, int first,
                   int y, int part, Emit emit) {
    const int border = in.border, strips = (width + STRIP - 1) / STRIP;
    for (int i = 0; i < strips; i++) {
        const int x = width * i / strips;
        switch (width * (i + 1) / strips - x) {
            case 4:
                if constexpr (STRIP >= 4)
                    strip<CHANNELS, 4, KERNEL, STRIDE>(in, filter, biases, border, first, y, x, part, emit);
                break;
            case 3:
                strip<CHANNELS, 3, KERNEL, STRIDE>(in, filter, biases, border, first, y, x, part, emit);
                break;
            case 2:
                strip<CHANNELS, 2, KERNEL, STRIDE>(in, filter, biases, border, first, y, x, part, emit);
                break;
            default:
                strip<CHANNELS, 1, KERNEL, STRIDE>(in, filter, biases, border, first, y, x, part, emit);
                break;
        }
    }
}

// Rows [from, to) of a convolution without pooling; `biases` may be null.
template <int KERNEL, int STRIDE, class Emit>
void rows_in_strips(const Maps& in, const Filter& filter, const float* biases, int width, int from,
                    int to, Emit emit) {
    for (int y = from; y < to; y++)
        for (int part = 0; part < PARTS; part++)
            in_blocks<STRIP_CHANNELS>(filter.channels_out, [&](int first, auto size) {
                row_in_strips<size.value, KERNEL, STRIDE>(in, filter, biases, width, first, y, part, emit);
            });
}

template <int KERNEL>
void forward(Convolution& layer, const float* biases) {
    if (layer.pools)
        for (int y = 0; y < layer.output.height; y++)
            for (int part = 0; part < PARTS; part++)
                in_blocks<WINDOW_CHANNELS>(layer.output.channels, [&](int first, auto size) {
                    pooled_row<size.value, KERNEL>(layer, biases, first, y, part);
                });
    else
        rows_in_strips<KERNEL, 1>(*layer.input, layer.forward, biases, layer.side, 0, layer.side,
                               [&out = layer.output](int channel, int y, int x, int part, auto& values)
                                   __attribute__((always_inline)) {
                                       Vector* at = out.at(channel, y, x) + part;
                                       UNROLL for (const Vector& value : values)
                                           *at = relu(value), at += PARTS;
                                   });
}

inline void forward(Convolution& layer, const float* parameters) {
    const float* biases = parameters + layer.biases_at;
    layer.kernel == 3 ? forward<3>(layer, biases) : forward<0>(layer, biases);
}

// ---- backward ------------------------------------------------------------------------

// In one row of a channel: the gradient of an output becomes that of the convolution's own maps, through ReLU
// and pooling.
class PassBack {
    const bool pools;
    const int next_row;
    const Vector* output;
    const uint8_t* winners;
    Vector* gradient;

public:
    INLINE PassBack(Convolution& layer, int channel, int y, int part)
        : pools(layer.pools),
          next_row(layer.gradient.row()),
          output(layer.output.at(channel, y, 0) + part),
          winners(layer.winners.data() + layer.winner_at(channel, y, 0, part)),
          gradient(layer.gradient.at(channel, (pools ? 2 * y : y) - layer.top, 0) + part) {}

    // Returns what came through.
    INLINE Vector operator()(int x, Vector value) const {
        if (!pools) return gradient[x * PARTS] = output[x * PARTS] > 0.0f ? value : Vector{};
        const Integers winner = load_bytes(winners + x * IMAGES);
        Vector* at = gradient + 2 * x * PARTS;
        at[0] = winner == 0 ? value : Vector{};
        at[PARTS] = winner == 1 ? value : Vector{};
        at[next_row] = winner == 2 ? value : Vector{};
        at[next_row + PARTS] = winner == 3 ? value : Vector{};
        return winner < NONE ? value : Vector{};
    }
};

// From the gradient of `layer` to that of the layer before it, for rows [from, to) of that one's output.
template <int KERNEL>
void data_gradient(const Convolution& layer, Convolution& before, int from, int to) {
    rows_in_strips<KERNEL, 1>(layer.gradient, layer.backward, nullptr, before.output.width, from, to,
                           [&before](int channel, int y, int x, int part, auto& values)
                               __attribute__((always_inline)) {
                                   Vector sum = before.bias_sums[channel].part[part];
                                   const PassBack pass_back(before, channel, y, part);
                                   UNROLL for (const Vector& value : values) sum += pass_back(x++, value);
                                   before.bias_sums[channel].part[part] = sum;
                               });
}

inline void data_gradient(const Convolution& layer, Convolution& before, int from, int to) {
    layer.kernel == 3 ? data_gradient<3>(layer, before, from, to)
                      : data_gradient<0>(layer, before, from, to);
}

// Of CHANNELS channels, one channel in, and TAPS neighbouring taps of row `ky`.
template <int CHANNELS, int TAPS>
INLINE void weight_taps(Convolution& layer, int first, int in, int ky, int kx, int from, int to,
                        int part) {
    const Maps &input = *layer.input, &gradient = layer.gradient;
    const int taps = layer.kernel * layer.kernel, of_channel = input.channels * taps;
    Lanes* totals = &layer.weight_sums[size_t(first) * of_channel + in * taps + ky * layer.kernel + kx];
    Vector sums[CHANNELS][TAPS];
    UNROLL for (int c = 0; c < CHANNELS; c++)
        UNROLL for (int t = 0; t < TAPS; t++) sums[c][t] = totals[c * of_channel + t].part[part];
    const int plane = gradient.plane(), width = layer.pools ? 2 * layer.output.width : layer.side;
    for (int y = from; y < to; y++) {
        const Vector* x = input.at(in, y + ky - input.border, kx - input.border) + part;
        const Vector* g = gradient.at(first, y - layer.top, 0) + part;
        for (int i = 0; i < width; i++, x += PARTS, g += PARTS) {
            Vector values[TAPS];
            UNROLL for (int t = 0; t < TAPS; t++)
                values[t] = x[t * PARTS];
            UNROLL for (int c = 0; c < CHANNELS; c++) {
                const Vector d = g[c * plane];
                UNROLL for (int t = 0; t < TAPS; t++)
                    sums[c][t] = multiply_add(d, values[t], sums[c][t]);
            }
        }
    }
    UNROLL for (int c = 0; c < CHANNELS; c++)
        UNROLL for (int t = 0; t < TAPS; t++) totals[c * of_channel + t].part[part] = sums[c][t];
}

template <int CHANNELS>
void weight_block(Convolution& layer, int first, int from, int to, int part) {
    const int kernel = layer.kernel;
    for (int in = 0; in < layer.input->channels; in++)
        for (int ky = 0; ky < kernel; ky++) {
            int kx = 0;
            for (; kx + 3 <= kernel; kx += 3)
                weight_taps<CHANNELS, 3>(layer, first, in, ky, kx, from, to, part);
            if (kernel - kx == 2) weight_taps<CHANNELS, 2>(layer, first, in, ky, kx, from, to, part);
            if (kernel - kx == 1) weight_taps<CHANNELS, 1>(layer, first, in, ky, kx, from, to, part);
        }
}

// Adds to the gradient of the weights what rows [from, to) of the output bring.
inline void weight_gradient(Convolution& layer, int from, int to) {
    const int rows = layer.pools ? 2 : 1;
    for (int part = 0; part < PARTS; part++)
        in_blocks<GRADIENT_CHANNELS>(layer.output.channels, [&](int first, auto size) {
            weight_block<size.value>(layer, first, from * rows, to * rows, part);
        });
}
