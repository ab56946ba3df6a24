/* Certus in C: the run-time monitor; what certus.h says of memory, pointers and threads holds.
 *
 * Made by cbindgen from engine/ffi/src; engine/ffi/README.md is its page. */

#ifndef CERTUS_MONITOR_H
#define CERTUS_MONITOR_H

#include "certus.h"

// In place of an input or a class where there is none.
#define CERTUS_V1_NONE UINT32_MAX

// Whose commands go out.
enum certus_v1_mode
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // The fallback's.
  CERTUS_V1_MODE_FALLBACK = 0,
  // The network's.
  CERTUS_V1_MODE_NETWORK = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum certus_v1_mode certus_v1_mode;
#else
typedef uint32_t certus_v1_mode;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What is known of a tick. Only CERTUS_V1_VERDICT_CERTIFIED is a proof.
enum certus_v1_verdict
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // The input cannot be used, or the rule is broken; `fault` says which.
  CERTUS_V1_VERDICT_VIOLATED = 0,
  // For every state within the sensor error of the input the network keeps the rule.
  CERTUS_V1_VERDICT_CERTIFIED = 1,
  // The outputs at the input keep the rule; within the sensor error it is not proved.
  CERTUS_V1_VERDICT_MARGINAL = 2,
  // No valid input for longer than the setup allows before this one, or none ever.
  CERTUS_V1_VERDICT_STALE = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum certus_v1_verdict certus_v1_verdict;
#else
typedef uint32_t certus_v1_verdict;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What is wrong.
enum certus_v1_fault
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Nothing.
  CERTUS_V1_FAULT_NONE = 0,
  // The input has another number of entries than the model has inputs, or could not be read.
  CERTUS_V1_FAULT_WIDTH = 1,
  // The input `fault_input` is NaN or infinite.
  CERTUS_V1_FAULT_NOT_FINITE = 2,
  // The input `fault_input` is outside its range.
  CERTUS_V1_FAULT_RANGE = 3,
  // The network's own outputs, as computed, do not keep the rule or are not finite.
  CERTUS_V1_FAULT_OUTPUT = 4,
  // Proved: for every state within the sensor error an output is outside its limits.
  CERTUS_V1_FAULT_EVERYWHERE = 5,
  // The memory is too small; cannot happen, being checked when the monitor is made.
  CERTUS_V1_FAULT_MEMORY = 6,
  // There was no tick: the handle was refused.
  CERTUS_V1_FAULT_CALL = 7,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum certus_v1_fault certus_v1_fault;
#else
typedef uint32_t certus_v1_fault;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What gave a verdict.
enum certus_v1_means
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Nothing.
  CERTUS_V1_MEANS_NONE = 0,
  // Intervals.
  CERTUS_V1_MEANS_IBP = 1,
  // Intervals, and one walk back of the rule's rows.
  CERTUS_V1_MEANS_CROWN_IBP = 2,
  // The simplex certificate.
  CERTUS_V1_MEANS_SIMPLEX = 3,
  // CROWN.
  CERTUS_V1_MEANS_CROWN = 4,
  // The table of regions that were certified beforehand.
  CERTUS_V1_MEANS_REGIONS = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum certus_v1_means certus_v1_means;
#else
typedef uint32_t certus_v1_means;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What the outputs shall keep.
enum certus_v1_rule_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // `limits_lo <= y <= limits_hi` for every output; proved is `<`. FLT_MAX is no limit.
  CERTUS_V1_RULE_KIND_LIMITS = 1,
  // The largest output is above every other by more than `margin`, and stays the same one within
  // the sensor error.
  CERTUS_V1_RULE_KIND_CLASS = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum certus_v1_rule_kind certus_v1_rule_kind;
#else
typedef uint32_t certus_v1_rule_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What a monitor shall do; `certus_v1_setup_default` fills in what is usual. The arrays are not
// copied: they stay, unchanged, as long as a monitor of this setup is used. The struct need not.
typedef struct certus_v1_setup {
  // Entries of `range_lo`, `range_hi` and `error_radii`: the model's inputs.
  size_t inputs;
  // Least valid value of each input.
  const float *range_lo;
  // Largest valid value of each input.
  const float *range_hi;
  // The sensor error: CERTUS_V1_SHAPE_BOX for `error_radii`, CERTUS_V1_SHAPE_BALL for
  // `error_radius` in the norm of exponent `error_norm`.
  uint32_t error;
  // Norm of a ball.
  float error_norm;
  // Radius of a ball.
  float error_radius;
  // How far the truth may be from each input, each way.
  const float *error_radii;
  // Entries of `limits_lo`, `limits_hi` and `fallback`: the model's outputs.
  size_t outputs;
  // A `certus_v1_rule_kind`.
  uint32_t rule;
  // For a class, from 0 on.
  float margin;
  // Lower limits.
  const float *limits_lo;
  // Upper limits.
  const float *limits_hi;
  // The command in place of the network's.
  const float *fallback;
  // Multiply-adds that a tick may take; UINT64_MAX for no limit but the certificates' own.
  uint64_t budget;
  // Ticks of the clock from one valid input to the next, at most.
  uint32_t stale;
  // So many misses in a row enter the fallback: 1 lets no command pass that is not certified.
  uint32_t enter;
  // So many certified ticks in a row leave it.
  uint32_t leave;
  // A `certus_v1_semantics`.
  uint32_t semantics;
  // Parts and multiples of the sensor error to try beside the whole, increasing.
  const float *scales;
  // Entries of `scales`.
  size_t scale_count;
} certus_v1_setup;

// A monitor: `certus_v1_monitor_init` makes it. To be kept where it was made.
typedef struct certus_v1_monitor {
  // Not to be read or written.
  uint64_t opaque[32];
  // Not to be read or written.
  size_t opaque_words[24];
} certus_v1_monitor;

// What a tick gives.
typedef struct certus_v1_report {
  // What to send: the network's outputs, or the fallback. To be read before the monitor's next tick;
  // NULL only if there was no tick.
  const float *command;
  // Its entries.
  size_t outputs;
  // Multiply-adds of this tick, at most `certus_v1_worst_case`.
  uint64_t work;
  // Whose command that is.
  certus_v1_mode mode;
  // What is known of the network's outputs, whichever command goes out.
  certus_v1_verdict verdict;
  // What is wrong, if violated.
  certus_v1_fault fault;
  // Which input that is, or CERTUS_V1_NONE.
  uint32_t fault_input;
  // For a rule on classes the class of the outputs, else CERTUS_V1_NONE.
  uint32_t label;
  // What gave the verdict, if certified, or found the limits broken everywhere.
  certus_v1_means by;
  // The largest part or multiple of the sensor error that was certified, 0 if none was.
  float scale;
  // Ticks without a certificate up to this one, one after the other.
  uint32_t misses;
} certus_v1_report;

// How many ticks ended how; a count stays at its largest value.
typedef struct certus_v1_counters {
  // Certified.
  uint32_t certified;
  // Marginal.
  uint32_t marginal;
  // Violated.
  uint32_t violated;
  // Stale.
  uint32_t stale;
  // Ticks in which the fallback went out.
  uint32_t fallback;
  // Most misses one after the other.
  uint32_t longest;
} certus_v1_counters;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// A setup in which each tick decides for itself, under deployed semantics, without a budget, with the
// scales 1/4, 1/2, 2 and 4; `stale`, the arrays and their kinds are left 0, to be filled in.
certus_v1_status certus_v1_setup_default(struct certus_v1_setup *setup);

// Multiply-adds of inference and intervals at most: the smallest budget. 0 if the handle or the setup
// is refused.
uint64_t certus_v1_least_budget(const certus_v1_model *model,
                                const struct certus_v1_setup *setup);

// Multiply-adds of inference and one certificate of each kind at most: the smallest budget with which
// none is left out. 0 if the handle or the setup is refused.
uint64_t certus_v1_full_budget(const certus_v1_model *model,
                               const struct certus_v1_setup *setup);

// No tick takes more multiply-adds. 0 if the handle or the setup is refused.
uint64_t certus_v1_worst_case(const certus_v1_model *model, const struct certus_v1_setup *setup);

// Words of memory of a monitor, with blocks of up to `block` rows. 0 if the handle or the setup is
// refused.
size_t certus_v1_monitor_words(const certus_v1_model *model,
                               const struct certus_v1_setup *setup,
                               size_t block);

// Makes a monitor that begins in fallback.
//
// `memory`: `words` words, at least `certus_v1_monitor_words` with a block of 1; they stay where they
// are, and are the monitor's own, as long as it is used. So do the model's blob and the setup's
// arrays; the model's handle and the setup itself need not stay.
// Errors: why the handle, the memory or the setup is refused; the monitor is then no monitor, but
// where it overlaps what it should be made of: it is then left as it is.
certus_v1_status certus_v1_monitor_init(struct certus_v1_monitor *monitor,
                                        const certus_v1_model *model,
                                        const struct certus_v1_setup *setup,
                                        uint32_t *memory,
                                        size_t words);

// Makes a monitor as `certus_v1_monitor_init` does, which asks the table of certified regions in the
// model's blob first.
//
// Errors: those of `certus_v1_monitor_init`, also where the blob has no table, or one that proves less
// than the setup asks. Memory and worst case are the same.
certus_v1_status certus_v1_monitor_init_regions(struct certus_v1_monitor *monitor,
                                                const certus_v1_model *model,
                                                const struct certus_v1_setup *setup,
                                                uint32_t *memory,
                                                size_t words);

// One tick: judges the input measured at `now`, in ticks of a clock that may wrap, and says what to
// send.
//
// Errors: if `report` or the handle is refused there was no tick, and the report, if it can be
// written, says CERTUS_V1_FAULT_CALL. If `x` is refused there was a tick with an input of the wrong
// width, so that the fallback goes out; the status tells why.
// Work: in the report.
certus_v1_status certus_v1_monitor_check(struct certus_v1_monitor *monitor,
                                         const float *x,
                                         size_t inputs,
                                         uint32_t now,
                                         struct certus_v1_report *report);

// Whose commands go out; the fallback's if the handle is refused.
certus_v1_mode certus_v1_monitor_mode(const struct certus_v1_monitor *monitor);

// How many ticks ended how since the monitor was made; all 0 if the handle is refused.
certus_v1_status certus_v1_monitor_counters(const struct certus_v1_monitor *monitor,
                                            struct certus_v1_counters *counters);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CERTUS_MONITOR_H */
