/* Certus in C: sound bounds of small neural networks. certus_monitor.h: the run-time monitor.
 *
 * Memory. Nothing is allocated. Handles (certus_v1_model, certus_v1_monitor) and working memory are the
 * caller's, and need not be initialised. A handle stays where it was opened: a copy of it, and memory
 * that never was one, is refused. What it was opened on (the blob; of a monitor also the setup's arrays
 * and the memory) stays where it is, alive and unchanged, as long as the handle is used. There is
 * nothing to close.
 *
 * Pointers. Each is NULL, misaligned, or points at as many entries as the length beside it says, one
 * where there is none; const ones at entries that are initialised. NULL, misaligned pointers, short
 * memory and memory that overlaps are refused, and not dereferenced; an array of length 0 that is only
 * read may be NULL. That memory is there, and as long as said, cannot be checked.
 *
 * Threads. Functions keep no state but in the handles. A model may be used by any number at once, each
 * with its own working memory; a monitor by one at a time, an interrupt counted as another.
 *
 * Versions. Names begin with certus_v1_. What would break a caller gets another number.
 *
 * Made by cbindgen from engine/ffi/src; engine/ffi/README.md is its page. */

#ifndef CERTUS_H
#define CERTUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What became of a call. Numbers are never given another meaning; new ones may come.
enum certus_v1_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Done.
  CERTUS_V1_STATUS_OK = 0,
  // A pointer is NULL.
  CERTUS_V1_STATUS_NULL = 1,
  // A pointer is not on the boundary that its type asks for.
  CERTUS_V1_STATUS_MISALIGNED = 2,
  // A length does not fit the address space.
  CERTUS_V1_STATUS_LENGTH = 3,
  // The working memory or an array for results is too short.
  CERTUS_V1_STATUS_SHORT = 4,
  // Memory that is written overlaps other memory of the call, or the model's.
  CERTUS_V1_STATUS_OVERLAP = 5,
  // The handle was not opened, or not where it lies.
  CERTUS_V1_STATUS_HANDLE = 6,
  // A number names no method, no semantics, no shape, no kind of specification, or no rule.
  CERTUS_V1_STATUS_KIND = 7,
  // The exponent of a norm is below 1 or NaN.
  CERTUS_V1_STATUS_NORM = 8,
  // Blob: not whole words on a 4-byte boundary.
  CERTUS_V1_STATUS_BLOB_MISALIGNED = 20,
  // Blob: shorter than its header or its layers say.
  CERTUS_V1_STATUS_BLOB_TRUNCATED = 21,
  // Blob: does not begin with `CRTS`.
  CERTUS_V1_STATUS_BLOB_MAGIC = 22,
  // Blob: another version of the format.
  CERTUS_V1_STATUS_BLOB_VERSION = 23,
  // Blob: the length field is not the blob's length.
  CERTUS_V1_STATUS_BLOB_LENGTH = 24,
  // Blob: the checksum does not match, it is damaged.
  CERTUS_V1_STATUS_BLOB_CRC = 25,
  // Blob: no layer, or too many.
  CERTUS_V1_STATUS_BLOB_LAYER_COUNT = 26,
  // Blob: input width is 0, too large, or not the first layer's columns.
  CERTUS_V1_STATUS_BLOB_INPUTS = 27,
  // Blob: output width is not the last layer's rows.
  CERTUS_V1_STATUS_BLOB_OUTPUTS = 28,
  // Blob: a reserved word of the header is not 0.
  CERTUS_V1_STATUS_BLOB_RESERVED = 29,
  // Blob: a layer's rows are 0 or too many.
  CERTUS_V1_STATUS_BLOB_ROWS = 30,
  // Blob: a layer's columns are not the rows of the layer before.
  CERTUS_V1_STATUS_BLOB_COLUMNS = 31,
  // Blob: an unknown activation, or a parameter that it cannot have.
  CERTUS_V1_STATUS_BLOB_ACTIVATION = 32,
  // Blob: more rows that pass by an activation than there are.
  CERTUS_V1_STATUS_BLOB_THROUGH = 33,
  // Blob: a reserved word of a layer is not 0.
  CERTUS_V1_STATUS_BLOB_LAYER_RESERVED = 34,
  // Blob: an unknown kind of weights.
  CERTUS_V1_STATUS_BLOB_WEIGHT_KIND = 35,
  // Blob: weights do not lie where they should.
  CERTUS_V1_STATUS_BLOB_WEIGHT_OFFSET = 36,
  // Blob: biases do not lie where they should.
  CERTUS_V1_STATUS_BLOB_BIAS_OFFSET = 37,
  // Blob: a relative weight error that is not in [0, 1].
  CERTUS_V1_STATUS_BLOB_WEIGHT_ERROR = 38,
  // Blob: a bias error that is negative or not finite.
  CERTUS_V1_STATUS_BLOB_BIAS_ERROR = 39,
  // Blob: a weight that is NaN or infinite.
  CERTUS_V1_STATUS_BLOB_WEIGHT = 40,
  // Blob: a bias that is NaN or infinite.
  CERTUS_V1_STATUS_BLOB_BIAS = 41,
  // Blob: the table of certified regions behind the model is of another version.
  CERTUS_V1_STATUS_BLOB_REGIONS_VERSION = 42,
  // Blob: the table's checksum does not match, it is damaged.
  CERTUS_V1_STATUS_BLOB_REGIONS_CRC = 43,
  // Blob: the table was made for another model.
  CERTUS_V1_STATUS_BLOB_REGIONS_MODEL = 44,
  // Blob: the table is not laid out as it should be.
  CERTUS_V1_STATUS_BLOB_REGIONS = 45,
  // Inputs, or a region's arrays, of another width than the model's inputs.
  CERTUS_V1_STATUS_REGION_WIDTH = 60,
  // An entry that is NaN, infinite or of magnitude 2^100 or more.
  CERTUS_V1_STATUS_REGION_ENTRY = 61,
  // A radius that is NaN, negative, or 2^100 or more.
  CERTUS_V1_STATUS_REGION_RADIUS = 62,
  // No point: a lower end above the upper one, or the ball outside the box.
  CERTUS_V1_STATUS_REGION_EMPTY = 63,
  // The specification does not fit the model's outputs, or is not finite.
  CERTUS_V1_STATUS_SPEC = 64,
  // The method does not know one of the model's activations.
  CERTUS_V1_STATUS_ACTIVATION = 65,
  // A pre-activation could reach 2^100: f32 bounds would overflow.
  CERTUS_V1_STATUS_MAGNITUDE = 66,
  // Setup: `inputs` or `outputs` is not the model's.
  CERTUS_V1_STATUS_SETUP_WIDTH = 80,
  // Setup: an entry of the range that it cannot have, or its ends in the wrong order.
  CERTUS_V1_STATUS_SETUP_RANGE = 81,
  // Setup: a sensor error that is negative, not finite or too large.
  CERTUS_V1_STATUS_SETUP_ERROR = 82,
  // Setup: limits that are not finite or in the wrong order, or a margin that is negative or not
  // finite.
  CERTUS_V1_STATUS_SETUP_RULE = 83,
  // Setup: a fallback that does not keep the limits, or is not finite.
  CERTUS_V1_STATUS_SETUP_FALLBACK = 84,
  // Setup: scales that are not positive, finite and increasing.
  CERTUS_V1_STATUS_SETUP_SCALES = 85,
  // Setup: a rule on classes for a model with one output.
  CERTUS_V1_STATUS_SETUP_CLASSES = 86,
  // Setup: `enter` or `leave` is 0.
  CERTUS_V1_STATUS_SETUP_HYSTERESIS = 87,
  // Setup: `stale` is 2^31 or more.
  CERTUS_V1_STATUS_SETUP_CLOCK = 88,
  // Setup: the budget is below `certus_v1_least_budget`.
  CERTUS_V1_STATUS_SETUP_BUDGET = 89,
  // Setup: the blob has no table of certified regions.
  CERTUS_V1_STATUS_SETUP_NO_REGIONS = 90,
  // Setup: the table's limits are not within the setup's, its margin is below the setup's, or its
  // rule is of the other kind.
  CERTUS_V1_STATUS_SETUP_REGIONS_RULE = 91,
  // Setup: the table's sensor error does not hold the setup's.
  CERTUS_V1_STATUS_SETUP_REGIONS_ERROR = 92,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum certus_v1_status certus_v1_status;
#else
typedef uint32_t certus_v1_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How bounds are found, from the cheapest on.
enum certus_v1_method
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Intervals.
  CERTUS_V1_METHOD_IBP = 1,
  // Intervals inside, one walk back of the specification.
  CERTUS_V1_METHOD_CROWN_IBP = 2,
  // Every layer walked back, the same slope on both sides.
  CERTUS_V1_METHOD_FAST_LIN = 3,
  // Every layer walked back, adaptive slopes.
  CERTUS_V1_METHOD_CROWN = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum certus_v1_method certus_v1_method;
#else
typedef uint32_t certus_v1_method;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What bounds cover.
enum certus_v1_semantics
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // The stored network in real arithmetic.
  CERTUS_V1_SEMANTICS_REAL = 1,
  // Also its forward pass in f32 as it rounds.
  CERTUS_V1_SEMANTICS_DEPLOYED = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum certus_v1_semantics certus_v1_semantics;
#else
typedef uint32_t certus_v1_semantics;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The shape of a region.
enum certus_v1_shape
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // `center`, `radius`, `norm`.
  CERTUS_V1_SHAPE_BALL = 1,
  // `lo`, `hi`.
  CERTUS_V1_SHAPE_BOX = 2,
  // The points of the ball that lie in the box.
  CERTUS_V1_SHAPE_BALL_IN_BOX = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum certus_v1_shape certus_v1_shape;
#else
typedef uint32_t certus_v1_shape;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What is asked of the outputs.
enum certus_v1_spec_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Each output from below, then each from above, negated: twice the outputs.
  CERTUS_V1_SPEC_KIND_OUTPUTS = 1,
  // `y[label] - y[j]` for all other j in increasing order: one less than the outputs.
  CERTUS_V1_SPEC_KIND_MARGINS = 2,
  // The rows of a matrix.
  CERTUS_V1_SPEC_KIND_ROWS = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum certus_v1_spec_kind certus_v1_spec_kind;
#else
typedef uint32_t certus_v1_spec_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A model: `certus_v1_model_open` makes it. To be kept where it was opened.
typedef struct certus_v1_model {
  // Not to be read or written.
  uint64_t opaque[8];
} certus_v1_model;

// Rows over the outputs. What its kind does not have is not read.
typedef struct certus_v1_spec {
  // A `certus_v1_spec_kind`.
  uint32_t kind;
  // Margins: the class, from 0.
  size_t label;
  // Rows: how many.
  size_t rows;
  // Rows: row-major `[rows][outputs]`.
  const float *matrix;
} certus_v1_spec;

// An exact real set of inputs. What its shape does not have is not read.
typedef struct certus_v1_region {
  // A `certus_v1_shape`.
  uint32_t shape;
  // The norm's exponent p: 1, 2, INFINITY, or any number above 1.
  float norm;
  // Radius of the ball.
  float radius;
  // Entries of each array: the model's inputs.
  size_t inputs;
  // Centre of the ball.
  const float *center;
  // Lower ends of the box.
  const float *lo;
  // Upper ends of the box.
  const float *hi;
} certus_v1_region;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Checks a blob and makes a handle of it.
//
// `blob`: `bytes` bytes, as `certus pack` writes them, on a 4-byte boundary (16 is what it was laid
// out for). The handle refers to them: they stay where they are, unchanged, as long as it is used.
// Errors: each way in which a blob is refused has its status; the handle is then closed.
// Work: one pass over the blob. To check it again later, open another handle on it.
certus_v1_status certus_v1_model_open(struct certus_v1_model *model,
                                      const void *blob,
                                      size_t bytes);

// Number of inputs; 0 if the handle is refused.
size_t certus_v1_model_inputs(const struct certus_v1_model *model);

// Number of outputs; 0 if the handle is refused.
size_t certus_v1_model_outputs(const struct certus_v1_model *model);

// Number of affine layers; 0 if the handle is refused.
size_t certus_v1_model_layers(const struct certus_v1_model *model);

// Words of working memory for `certus_v1_forward`; 0 if the handle is refused.
size_t certus_v1_forward_words(const struct certus_v1_model *model);

// The network's outputs at `x` in f32.
//
// `memory`: `words` words, at least `certus_v1_forward_words`; `out`: `outputs` floats, at least the
// model's outputs, what is beyond them NaN. Errors: `out` is NaN throughout, but where it is itself
// refused or overlaps.
// Work: a multiply-add a weight.
certus_v1_status certus_v1_forward(const struct certus_v1_model *model,
                                   const float *x,
                                   size_t inputs,
                                   uint32_t *memory,
                                   size_t words,
                                   float *out,
                                   size_t outputs);

// Words of working memory for `certus_v1_lower_bounds` with blocks of up to `block` rows: 1 takes
// the least, more of them read the weights less often and change no bound. 0 if the handle or the
// method is refused, or if so much does not fit the address space.
//
// `method`: a `certus_v1_method`.
size_t certus_v1_bounds_words(const struct certus_v1_model *model, uint32_t method, size_t block);

// Rows of a specification for a model; 0 if either is refused.
size_t certus_v1_spec_rows(const struct certus_v1_model *model, const struct certus_v1_spec *spec);

// Lower bounds of the rows of a specification over a region.
//
// `out[r] <= min over the region of row r`: for the stored network in real arithmetic and, under
// deployed semantics, also for its f32 forward pass in any order of its sums. -INFINITY where there
// is no bound, never NaN.
// `method`: a `certus_v1_method`; `semantics`: a `certus_v1_semantics`; `memory`: `words` words, at
// least `certus_v1_bounds_words` with a block of 1; `out`: `rows` floats, at least
// `certus_v1_spec_rows`, what is beyond them -INFINITY; `work`: the multiply-adds done, may be NULL.
// Errors: `out` is -INFINITY throughout, but where it is itself refused or overlaps.
certus_v1_status certus_v1_lower_bounds(const struct certus_v1_model *model,
                                        const struct certus_v1_region *region,
                                        const struct certus_v1_spec *spec,
                                        uint32_t method,
                                        uint32_t semantics,
                                        uint32_t *memory,
                                        size_t words,
                                        float *out,
                                        size_t rows,
                                        uint64_t *work);

// Words of working memory for `certus_v1_simplex`, as `certus_v1_bounds_words`; with larger blocks it
// may walk rows that a block of 1 finds it can leave out.
size_t certus_v1_simplex_words(const struct certus_v1_model *model,
                               size_t block);

// The radius of an open ball around `x` on which every row of a specification is positive, by the
// simplex certificate; for networks of ReLU and leaky ReLU.
//
// Each row, `offsets` added (one a row; NULL for none), is positive at every real point nearer to `x`
// than `radius` in the norm of exponent `norm`: semantics, memory and work as for
// `certus_v1_lower_bounds`. 0 where nothing is proved, and on errors, but where `radius` is itself
// refused or overlaps; infinite where the rows are positive everywhere.
certus_v1_status certus_v1_simplex(const struct certus_v1_model *model,
                                   const float *x,
                                   size_t inputs,
                                   float norm,
                                   const struct certus_v1_spec *spec,
                                   const float *offsets,
                                   uint32_t semantics,
                                   uint32_t *memory,
                                   size_t words,
                                   float *radius,
                                   uint64_t *work);

// Whether lower bounds prove that every row is positive: each is a finite number above 0, and there
// is one at least. False for NULL.
bool certus_v1_certified(const float *bounds, size_t rows);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CERTUS_H */
