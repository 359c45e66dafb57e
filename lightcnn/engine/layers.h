// Layers of every kind, forward and backward, of 16 images at a time: convolutions, plain or depthwise, of
// any stride; then perhaps batch norm over the whole batch, a sum with an earlier layer's output, 2x2 max
// pooling, and an activation. Each is a pass of its own where convolution.h has one for all; the maps and the
// rules for the order of sums are those there.
//
// A batch is held as groups of 16 images, all at once where there is a batch norm, whose statistics need
// them all. Sums over a group are held a lane an image, and joined in double, lane by lane.
#pragma once
#include <array>
#include <cmath>

#include "convolution.h"

constexpr int IMAGE = -1, NO_SUM = -2;  // instead of a layer whose output is added
constexpr int BLOCKED = 4;              // added to a winner that the activation multiplies by its slope
constexpr double EPSILON = 1e-5;        // of batch norm

// What a layer holds of a group.
struct GroupMaps {
    Maps raw;       // of the convolution, where not all that follows is done as it is computed
    Maps output;    // its border is the padding of the next layer
    Maps gradient;  // of the convolution's own maps, with stride 2 at every other place, zero between
    Maps output_gradient;
    std::vector<uint8_t> winners;  // [channel][row][column][image]: which pixel of a window, and BLOCKED
};

struct Layer {
    int channels_in = 0, channels = 0, kernel = 0, padding = 0, stride = 1;
    int side_in = 0, side = 0;  // `side`: of the convolution's own maps, before pooling
    bool depthwise = false, biased = false, normed = false, pools = false;
    float slope = 1;         // of the activation below zero: 1 where there is none
    int owner = 0;           // the layer whose weights it uses: itself, or the same of the first application
    int source = NO_SUM;     // the layer whose output is added, or IMAGE
    bool is_source = false;  // of some later layer
    size_t weights_at = 0, biases_at = 0;  // among the parameters; of a batch norm the shift is the bias
    size_t statistics_at = 0;              // among the statistics: means, then variances

    std::vector<GroupMaps> groups;
    Filter forward, backward;  // of an owner, as in convolution.h; depthwise [channel][row][column]
    std::vector<Lanes> weight_sums;
    std::vector<double> bias_sums;
    // Of batch norm, a channel each: of the batch, or as they were settled; in double what the groups add up.
    std::vector<float> origin, mean, inverse, share, slant;
    std::vector<double> first, second, settled_first, settled_second;

    int taps() const { return kernel * kernel; }
    int side_out() const { return pools ? side / 2 : side; }
    // Whether the maps are finished as they are computed.
    bool is_one_pass() const { return !normed && !pools && source == NO_SUM; }
    // Whether a convolution is all that there is, so that the gradient of the output is that of its maps.
    bool is_bare() const { return is_one_pass() && slope == 1.0f && !biased && !is_source; }
};

// Lanes that hold images: all but in a batch's last group.
struct Valid {
    Integers lanes[PARTS];
    explicit Valid(int count) {
        for (int i = 0; i < IMAGES; i++) lanes[i / WIDTH][i % WIDTH] = i < count ? -1 : 0;
    }
    INLINE Vector operator()(int part, Vector x) const { return lanes[part] ? x : Vector{}; }
};

inline double sum_in_double(const Valid& valid, const Lanes& lanes) {
    double sum = 0;
    for (int i = 0; i < IMAGES; i++) sum += valid.lanes[i / WIDTH][i % WIDTH] ? double(lanes[i]) : 0.0;
    return sum;
}

INLINE Vector activated(Vector x, float slope) {
    return slope == 1.0f ? x : x < 0.0f ? (slope == 0.0f ? Vector{} : x * slope) : x;  // keeps NaN
}

INLINE Vector passed_back(Integers positive, Vector gradient, float slope) {
    return slope == 1.0f ? gradient : positive ? gradient : slope == 0.0f ? Vector{} : gradient * slope;
}

// ---- convolutions --------------------------------------------------------------------

// `emit(channel, y, x, part, values)` takes the results of neighbouring pixels of maps of `side`.
template <class Emit>
void plain_maps(const Maps& in, const Filter& filter, const float* biases, int side, Emit emit) {
    switch (filter.kernel) {
        case 1: return rows_in_strips<1, 1>(in, filter, biases, side, 0, side, emit);
        case 3: return rows_in_strips<3, 1>(in, filter, biases, side, 0, side, emit);
        case 5: return rows_in_strips<5, 1>(in, filter, biases, side, 0, side, emit);
        default: return rows_in_strips<0, 1>(in, filter, biases, side, 0, side, emit);
    }
}

template <int KERNEL, class Emit>
void depthwise_rows(const Maps& in, const Filter& filter, int side, int stride, Emit emit) {
    const int kernel = KERNEL ? KERNEL : filter.kernel, row = in.row(), border = in.border;
    for (int channel = 0; channel < in.channels; channel++) {
        const float* weights = filter.weights.data() + size_t(channel) * kernel * kernel;
        for (int y = 0; y < side; y++)
            for (int part = 0; part < PARTS; part++)
                in_blocks<6>(side, [&](int x, auto size) {
                    const Vector* corner = in.at(channel, y * stride - border, x * stride - border) + part;
                    Vector sums[size.value] = {};
                    const float* weight = weights;
                    for (int ky = 0; ky < kernel; ky++)
                        UNROLL for (int kx = 0; kx < kernel; kx++) {
                            const Vector w = all(*weight++);
                            UNROLL for (int p = 0; p < size.value; p++)
                                sums[p] = multiply_add(
                                    w, corner[ky * row + (kx + p * stride) * PARTS], sums[p]);
                        }
                    emit(channel, y, x, part, sums);
                });
    }
}

template <class Emit>
void depthwise_maps(const Maps& in, const Filter& filter, int side, int stride, Emit emit) {
    if (filter.kernel == 3) return depthwise_rows<3>(in, filter, side, stride, emit);
    if (filter.kernel == 5) return depthwise_rows<5>(in, filter, side, stride, emit);
    depthwise_rows<0>(in, filter, side, stride, emit);
}

// The layer's own maps of a group; finished if nothing needs them whole.
inline void convolve(Layer& layer, const Layer& owner, const Maps& in, const float* parameters, int group) {
    const bool is_one_pass = layer.is_one_pass();
    Maps& out = is_one_pass ? layer.groups[group].output : layer.groups[group].raw;
    const Filter& filter = owner.forward;
    const float* biases = layer.biased ? parameters + layer.biases_at : nullptr;
    const float slope = is_one_pass ? layer.slope : 1.0f;
    const auto emit = [&out, slope](int channel, int y, int x, int part, auto& values)
        __attribute__((always_inline)) {
            Vector* at = out.at(channel, y, x) + part;
            UNROLL for (const Vector& value : values) *at = activated(value, slope), at += PARTS;
        };
    if (layer.depthwise)
        depthwise_maps(in, filter, layer.side, layer.stride, emit);
    else if (layer.stride == 1)
        plain_maps(in, filter, biases, layer.side, emit);
    else if (layer.kernel == 3)
        rows_in_strips<3, 2>(in, filter, biases, layer.side, 0, layer.side, emit);
    else
        rows_in_strips<0, 2>(in, filter, biases, layer.side, 0, layer.side, emit);
}

// ---- what follows a convolution --------------------------------------------------------

// Adds up, for batch norm, how far the maps of a group are from `origin`, a value of theirs, and the squares
// of that: from it, as from near the mean, little is lost.
inline void add_moments(Layer& layer, int group, const Valid& valid) {
    const Maps& maps = layer.groups[group].raw;
    for (int channel = 0; channel < layer.channels; channel++) {
        if (group == 0) {
            const int middle = layer.side / 2;
            layer.origin[channel] = reinterpret_cast<const float*>(maps.at(channel, middle, middle))[0];
        }
        const Vector origin = all(layer.origin[channel]);
        Lanes first = {}, second = {};
        for (int y = 0; y < layer.side; y++) {
            const Vector* row = maps.at(channel, y, 0);
            for (int x = 0; x < layer.side; x++)
                for (int part = 0; part < PARTS; part++) {
                    const Vector away = row[x * PARTS + part] - origin;
                    first.part[part] += away;
                    second.part[part] = multiply_add(away, away, second.part[part]);
                }
        }
        layer.first[channel] += sum_in_double(valid, first);
        layer.second[channel] += sum_in_double(valid, second);
    }
}

// The statistics of the batch, from what its groups added up.
inline void take_moments(Layer& layer, int num_images) {
    const double count = double(num_images) * layer.side * layer.side;
    for (int channel = 0; channel < layer.channels; channel++) {
        const double away = layer.first[channel] / count, mean = layer.origin[channel] + away;
        const double variance = std::max(layer.second[channel] / count - away * away, 0.0);
        layer.mean[channel] = float(mean);
        layer.inverse[channel] = float(1 / std::sqrt(variance + EPSILON));
        layer.settled_first[channel] += mean;
        layer.settled_second[channel] += variance + mean * mean;
        layer.first[channel] = layer.second[channel] = 0;
    }
}

// From the convolution's own maps to the output.
template <bool NORMED, bool SUMMED>
void finish_maps(Layer& layer, const Maps* added, const float* shifts, int group) {
    GroupMaps& maps = layer.groups[group];
    const int row = maps.raw.row(), side = layer.side_out();
    for (int channel = 0; channel < layer.channels; channel++) {
        Vector mean{}, inverse{}, shift{};
        if constexpr (NORMED)
            mean = all(layer.mean[channel]), inverse = all(layer.inverse[channel]),
            shift = all(shifts[channel]);
        const auto at = [&](const Vector* from, const Vector* other, int i) __attribute__((always_inline)) {
            Vector x = from[i];
            if constexpr (NORMED) x = multiply_add(x - mean, inverse, shift);
            if constexpr (SUMMED) x += other[i];
            return x;
        };
        for (int y = 0; y < side; y++) {
            Vector* out = maps.output.at(channel, y, 0);
            const int top = layer.pools ? 2 * y : y;
            const Vector* from = maps.raw.at(channel, top, 0);
            const Vector* other = SUMMED ? added->at(channel, top, 0) : nullptr;
            if (!layer.pools) {
                for (int i = 0; i < side * PARTS; i++) out[i] = activated(at(from, other, i), layer.slope);
                continue;
            }
            const int other_row = SUMMED ? added->row() : 0;
            uint8_t* winners =
                maps.winners.data() + (size_t(channel) * side + y) * side * IMAGES;
            for (int x = 0; x < side; x++)
                for (int part = 0; part < PARTS; part++) {
                    const int i = 2 * x * PARTS + part;
                    Vector largest = at(from, other, i);
                    Integers winner = {};  // of equal pixels the first, as in PyTorch
                    UNROLL for (int p = 1; p < 4; p++) {
                        const int down = p / 2, right = p % 2 * PARTS;
                        const Vector value =
                            at(from + down * row, other + down * other_row, i + right);
                        const Integers larger = value > largest;
                        largest = larger ? value : largest;
                        winner = larger ? Integers{} + p : winner;
                    }
                    winner = largest > 0.0f ? winner : winner + BLOCKED;
                    out[x * PARTS + part] = activated(largest, layer.slope);
                    store_bytes(winners + x * IMAGES + part * WIDTH, winner);
                }
        }
    }
}

inline void finish(Layer& layer, const Maps* added, const float* parameters, int group) {
    if (layer.is_one_pass()) return;
    const float* shifts = parameters + layer.biases_at;
    if (layer.normed)
        added ? finish_maps<true, true>(layer, added, shifts, group)
              : finish_maps<true, false>(layer, added, shifts, group);
    else
        added ? finish_maps<false, true>(layer, added, shifts, group)
              : finish_maps<false, false>(layer, added, shifts, group);
}

// ---- and back ------------------------------------------------------------------------

// From the gradient of a group's output to that of what the activation and the pooling were given, which lies
// where that of the convolution's own maps will be. Adds up what shifts, biases and batch norm need: the
// gradient, and its product with the normed value, which follows from the output if nothing was added to it.
template <bool NORMED, bool SUMMED>
void unfinish_maps(Layer& layer, Layer& owner, Maps* source_gradient, const float* shifts, int group,
                   const Valid& valid) {
    GroupMaps& maps = layer.groups[group];
    const int side = layer.side_out(), step = layer.stride;
    const int down = maps.gradient.row() * step, right = PARTS * step, raw_down = maps.raw.row();
    const float slope = layer.slope, undone = slope == 0.0f ? 0.0f : 1.0f / slope;
    for (int channel = 0; channel < layer.channels; channel++) {
        Lanes sum = {}, product = {};
        Vector mean{}, inverse{}, shift{};
        if constexpr (NORMED)
            mean = all(layer.mean[channel]), inverse = all(layer.inverse[channel]),
            shift = all(shifts[channel]);
        for (int y = 0; y < side; y++) {
            const int top = layer.pools ? 2 * y : y;
            const Vector* given = maps.output_gradient.at(channel, y, 0);
            const Vector* output = maps.output.at(channel, y, 0);
            const Vector* raw = NORMED && SUMMED ? maps.raw.at(channel, top, 0) : nullptr;
            Vector* gradient = maps.gradient.at(channel, top * step, 0);
            const uint8_t* winners =
                layer.pools ? maps.winners.data() + (size_t(channel) * side + y) * side * IMAGES : nullptr;
            for (int part = 0; part < PARTS; part++) {
                Vector s = sum.part[part], d = product.part[part];
                if (layer.pools)
                    for (int x = 0; x < side; x++) {
                        const int i = x * PARTS + part;
                        const Integers code = load_bytes(winners + x * IMAGES + part * WIDTH);
                        const Integers winner = code & 3;
                        const Vector value = passed_back(code < BLOCKED, given[i], slope);
                        Vector* at = gradient + 2 * x * right + part;
                        at[0] = winner == 0 ? value : Vector{};
                        at[right] = winner == 1 ? value : Vector{};
                        at[down] = winner == 2 ? value : Vector{};
                        at[down + right] = winner == 3 ? value : Vector{};
                        s += value;
                        if constexpr (NORMED && SUMMED) {
                            const Vector* from = raw + 2 * x * PARTS + part;
                            Vector won = winner == 0 ? from[0] : from[PARTS];
                            won = winner == 2 ? from[raw_down] : won;
                            won = winner == 3 ? from[raw_down + PARTS] : won;
                            d = multiply_add(value, (won - mean) * inverse, d);
                        } else if constexpr (NORMED) {
                            const Vector before = output[i] > 0.0f ? output[i] : output[i] * undone;
                            d = multiply_add(value, before - shift, d);
                        }
                    }
                else
                    for (int x = 0; x < side; x++) {
                        const int i = x * PARTS + part;
                        const Vector value = passed_back(output[i] > 0.0f, given[i], slope);
                        gradient[x * right + part] = value;
                        s += value;
                        if constexpr (NORMED && SUMMED) {
                            d = multiply_add(value, (raw[i] - mean) * inverse, d);
                        } else if constexpr (NORMED) {
                            const Vector before = output[i] > 0.0f ? output[i] : output[i] * undone;
                            d = multiply_add(value, before - shift, d);
                        }
                    }
                sum.part[part] = s, product.part[part] = d;
            }
        }
        const int used = layer.pools ? 2 * side : side;
        if (NORMED && used < layer.side)  // an odd last row and column, which pooling left out
            for (int y = 0; y < layer.side; y++)
                for (int x = y < used ? used : 0; x < layer.side; x++)
                    std::fill_n(maps.gradient.at(channel, y * step, x * step), PARTS, Vector{});
        if (layer.biased || NORMED) {
            const double total = sum_in_double(valid, sum);
            owner.bias_sums[channel] += total;
            if constexpr (NORMED) {
                layer.first[channel] += total;
                layer.second[channel] += sum_in_double(valid, product);
            }
        }
        if (source_gradient)
            for (int y = 0; y < layer.side; y++)
                std::copy_n(maps.gradient.at(channel, y, 0), layer.side * PARTS,
                            source_gradient->at(channel, y, 0));
    }
}

inline void unfinish(Layer& layer, Layer& owner, Maps* source_gradient, const float* parameters, int group,
                     const Valid& valid) {
    const float* shifts = parameters + layer.biases_at;
    if (!layer.normed)
        unfinish_maps<false, false>(layer, owner, source_gradient, shifts, group, valid);
    else if (layer.source == NO_SUM)
        unfinish_maps<true, false>(layer, owner, source_gradient, shifts, group, valid);
    else
        unfinish_maps<true, true>(layer, owner, source_gradient, shifts, group, valid);
}

// What batch norm takes from each gradient, from what the groups added up.
inline void take_gradient_moments(Layer& layer, int num_images) {
    const double count = double(num_images) * layer.side * layer.side;
    for (int channel = 0; channel < layer.channels; channel++) {
        layer.share[channel] = float(layer.first[channel] / count);
        layer.slant[channel] = float(layer.second[channel] / count * layer.inverse[channel]);
        layer.first[channel] = layer.second[channel] = 0;
    }
}

// From the gradient of a group's normed maps to that of the convolution's own.
inline void pass_norm_back(Layer& layer, int group, const Valid& valid) {
    GroupMaps& maps = layer.groups[group];
    const int right = PARTS * layer.stride;
    for (int channel = 0; channel < layer.channels; channel++) {
        const Vector mean = all(layer.mean[channel]), inverse = all(layer.inverse[channel]);
        const Vector share = all(layer.share[channel]), slant = all(-layer.slant[channel]);
        for (int y = 0; y < layer.side; y++) {
            const Vector* raw = maps.raw.at(channel, y, 0);
            Vector* gradient = maps.gradient.at(channel, y * layer.stride, 0);
            for (int x = 0; x < layer.side; x++)
                for (int part = 0; part < PARTS; part++) {
                    Vector& value = gradient[x * right + part];
                    const Vector less = multiply_add(raw[x * PARTS + part] - mean, slant, value - share);
                    value = valid(part, inverse * less);
                }
        }
    }
}

// Of OUT channels and IN channels read, and TAPS neighbouring taps, of a plain convolution; or of one channel
// and its taps of a depthwise one.
template <int OUT, int IN, int TAPS>
INLINE void add_products(const Layer& layer, const Maps& in, const Maps& gradient, Lanes* sums,
                         int out_step, int first, int first_in, int ky, int kx, int part) {
    Vector totals[OUT][IN][TAPS];
    const int in_step = layer.taps();
    UNROLL for (int o = 0; o < OUT; o++)
        UNROLL for (int i = 0; i < IN; i++)
            UNROLL for (int t = 0; t < TAPS; t++)
                totals[o][i][t] = sums[o * out_step + i * in_step + t].part[part];
    const int plane = gradient.plane(), in_plane = in.plane(), step = layer.stride * PARTS;
    for (int y = 0; y < layer.side; y++) {
        const Vector* x = in.at(first_in, y * layer.stride + ky - in.border, kx - in.border) + part;
        const Vector* g = gradient.at(first, y * layer.stride, 0) + part;
        for (int i = 0; i < layer.side; i++, x += step, g += step) {
            Vector values[IN][TAPS];
            UNROLL for (int j = 0; j < IN; j++)
                UNROLL for (int t = 0; t < TAPS; t++) values[j][t] = x[j * in_plane + t * PARTS];
            UNROLL for (int o = 0; o < OUT; o++) {
                const Vector d = g[o * plane];
                UNROLL for (int j = 0; j < IN; j++)
                    UNROLL for (int t = 0; t < TAPS; t++)
                        totals[o][j][t] = multiply_add(d, values[j][t], totals[o][j][t]);
            }
        }
    }
    UNROLL for (int o = 0; o < OUT; o++)
        UNROLL for (int i = 0; i < IN; i++)
            UNROLL for (int t = 0; t < TAPS; t++)
                sums[o * out_step + i * in_step + t].part[part] = totals[o][i][t];
}

// Calls do_taps(kx, Constant<number>) for a row of taps, three at a time.
template <class DoTaps>
INLINE void taps_of_row(int kernel, DoTaps do_taps) {
    int kx = 0;
    for (; kx + 3 <= kernel; kx += 3) do_taps(kx, Constant<3>());
    if (kernel - kx == 2) do_taps(kx, Constant<2>());
    if (kernel - kx == 1) do_taps(kx, Constant<1>());
}

inline void add_weight_gradient(Layer& layer, Layer& owner, const Maps& in, int group) {
    const Maps& gradient = layer.groups[group].gradient;
    const int kernel = layer.kernel, taps = layer.taps();
    for (int part = 0; part < PARTS; part++) {
        if (layer.depthwise)
            for (int channel = 0; channel < layer.channels; channel++)
                for (int ky = 0; ky < kernel; ky++)
                    taps_of_row(kernel, [&](int kx, auto number) {
                        Lanes* sums = &owner.weight_sums[size_t(channel) * taps + ky * kernel + kx];
                        add_products<1, 1, number.value>(layer, in, gradient, sums, 0, channel, channel, ky,
                                                         kx, part);
                    });
        else if (kernel == 1)
            in_blocks<POINTWISE_CHANNELS>(layer.channels, [&](int first, auto out) {
                in_blocks<POINTWISE_CHANNELS>(layer.channels_in, [&](int first_in, auto read) {
                    Lanes* sums = &owner.weight_sums[size_t(first) * layer.channels_in + first_in];
                    add_products<out.value, read.value, 1>(layer, in, gradient, sums, layer.channels_in,
                                                           first, first_in, 0, 0, part);
                });
            });
        else
            in_blocks<GRADIENT_CHANNELS>(layer.channels, [&](int first, auto out) {
                const int of_channel = layer.channels_in * taps;
                for (int i = 0; i < layer.channels_in; i++)
                    for (int ky = 0; ky < kernel; ky++)
                        taps_of_row(kernel, [&](int kx, auto number) {
                            Lanes* sums = &owner.weight_sums[size_t(first) * of_channel + i * taps +
                                                             ky * kernel + kx];
                            add_products<out.value, 1, number.value>(layer, in, gradient, sums, of_channel,
                                                                     first, i, ky, kx, part);
                        });
            });
    }
}

// From the gradient of a layer's own maps to that of the output of the layer before it.
inline void pass_back(const Layer& layer, const Layer& owner, Layer& before, int group) {
    const Maps& gradient = layer.groups[group].gradient;
    Maps& out = before.is_bare() ? before.groups[group].gradient : before.groups[group].output_gradient;
    const int step = before.is_bare() ? before.stride : 1;
    const bool adds = before.is_source;  // the sum's gradient is there
    const auto emit = [&out, adds, step](int channel, int y, int x, int part, auto& values)
        __attribute__((always_inline)) {
            Vector* at = out.at(channel, y * step, x * step) + part;
            UNROLL for (const Vector& value : values) *at = adds ? *at + value : value, at += step * PARTS;
        };
    if (layer.depthwise)
        depthwise_maps(gradient, owner.backward, layer.side_in, 1, emit);
    else
        plain_maps(gradient, owner.backward, nullptr, layer.side_in, emit);
}
