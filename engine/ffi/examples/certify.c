/* What of a controller's command is certain, and a monitored control loop, with the C interface.
 *
 * usage: certify controller.certus (two inputs, one output), as host/example has and `certus pack`
 * writes. Numbers are printed as their bits too, which are the same on every processor. */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "certus.h"
#include "certus_monitor.h"

/* In firmware all of this is static, the blob in flash. */
static _Alignas(16) unsigned char blob[1 << 16];
static uint32_t memory[1 << 12], monitor_memory[1 << 12];
static certus_v1_model model;
static certus_v1_monitor monitor;

static const float range_lo[2] = {-0.5f, -1.0f}, range_hi[2] = {0.5f, 1.0f};
static const float sensor_error[2] = {0.002f, 0.01f};
static const float limits_lo[1] = {-2.0f}, limits_hi[1] = {2.0f}, fallback[1] = {0.0f};

static int failed(const char *what, certus_v1_status status)
{
    fprintf(stderr, "%s: status %u\n", what, (unsigned)status);
    return 1;
}

static unsigned bits(float x)
{
    uint32_t word;
    memcpy(&word, &x, sizeof word);
    return (unsigned)word;
}

/* Can the command change its sign within 0.01 of x? */
static int certify(const float x[2])
{
    static const char *names[] = {"ibp", "crown-ibp", "fast-lin", "crown"};
    const float norms[] = {1.0f, 2.0f, 3.0f, INFINITY};
    size_t words = sizeof memory / sizeof memory[0];
    /* With more memory its blocks are larger, and may walk rows that could be left out. */
    size_t least = certus_v1_simplex_words(&model, 1);
    float y[1], sign[1], bound[1], radius;
    uint64_t work;

    certus_v1_status status = certus_v1_forward(&model, x, 2, memory, words, y, 1);
    if (status != CERTUS_V1_STATUS_OK)
        return failed("forward", status);
    printf("command %08x %.6f\n", bits(y[0]), (double)y[0]);

    sign[0] = y[0] < 0.0f ? -1.0f : 1.0f;
    certus_v1_spec spec = {.kind = CERTUS_V1_SPEC_KIND_ROWS, .rows = 1, .matrix = sign};
    certus_v1_region ball = {
        .shape = CERTUS_V1_SHAPE_BALL, .radius = 0.01f, .inputs = 2, .center = x};
    for (size_t p = 0; p < sizeof norms / sizeof norms[0]; p++) {
        ball.norm = norms[p];
        for (uint32_t method = CERTUS_V1_METHOD_IBP; method <= CERTUS_V1_METHOD_CROWN; method++) {
            status = certus_v1_lower_bounds(&model, &ball, &spec, method,
                CERTUS_V1_SEMANTICS_DEPLOYED, memory, words, bound, 1, &work);
            if (status != CERTUS_V1_STATUS_OK)
                return failed("bounds", status);
            printf("l%g %s %08x %s %lu\n", (double)norms[p], names[method - 1], bits(bound[0]),
                certus_v1_certified(bound, 1) ? "certified" : "unknown", (unsigned long)work);
        }
        status = certus_v1_simplex(&model, x, 2, norms[p], &spec, NULL, CERTUS_V1_SEMANTICS_DEPLOYED,
            memory, least < words ? least : words, &radius, &work);
        if (status != CERTUS_V1_STATUS_OK)
            return failed("simplex", status);
        printf("l%g simplex %08x %lu\n", (double)norms[p], bits(radius), (unsigned long)work);
    }
    return 0;
}

/* Sixty ticks of a swing, one of them without a measurement. */
static int control(void)
{
    certus_v1_setup setup;
    certus_v1_report report;
    certus_v1_counters counters;
    size_t words = sizeof monitor_memory / sizeof monitor_memory[0];

    certus_v1_setup_default(&setup);
    setup.inputs = 2;
    setup.range_lo = range_lo;
    setup.range_hi = range_hi;
    setup.error = CERTUS_V1_SHAPE_BOX;
    setup.error_radii = sensor_error;
    setup.outputs = 1;
    setup.rule = CERTUS_V1_RULE_KIND_LIMITS;
    setup.limits_lo = limits_lo;
    setup.limits_hi = limits_hi;
    setup.fallback = fallback;
    setup.budget = 12000;
    setup.stale = 20;
    setup.leave = 3;
    printf("memory %lu, budget from %lu, worst case %lu\n",
        (unsigned long)certus_v1_monitor_words(&model, &setup, 1),
        (unsigned long)certus_v1_least_budget(&model, &setup),
        (unsigned long)certus_v1_worst_case(&model, &setup));
    certus_v1_status status =
        certus_v1_monitor_init(&monitor, &model, &setup, monitor_memory, words);
    if (status != CERTUS_V1_STATUS_OK)
        return failed("monitor", status);

    for (uint32_t now = 0; now < 60; now++) {
        float x[2] = {0.46f - 0.015625f * (float)now, 0.03125f * (float)now - 0.9f};
        if (now == 40)
            x[0] = NAN;
        status = certus_v1_monitor_check(&monitor, x, 2, now, &report);
        if (status != CERTUS_V1_STATUS_OK)
            return failed("tick", status);
        printf("tick %u: verdict %u fault %u mode %u by %u scale %08x work %lu command %08x\n",
            (unsigned)now, (unsigned)report.verdict, (unsigned)report.fault, (unsigned)report.mode,
            (unsigned)report.by, bits(report.scale), (unsigned long)report.work,
            bits(report.command[0]));
    }
    certus_v1_monitor_counters(&monitor, &counters);
    printf("%u certified, %u marginal, %u violated, %u stale, %u in fallback\n",
        (unsigned)counters.certified, (unsigned)counters.marginal, (unsigned)counters.violated,
        (unsigned)counters.stale, (unsigned)counters.fallback);
    return 0;
}

int main(int argc, char **argv)
{
    static const float states[3][2] = {{0.0f, 0.0f}, {0.1f, -0.2f}, {-0.3f, 0.7f}};
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: certify controller.certus\n");
        return 2;
    }
    size_t bytes = fread(blob, 1, sizeof blob, file);
    fclose(file);

    certus_v1_status status = certus_v1_model_open(&model, blob, bytes);
    if (status != CERTUS_V1_STATUS_OK)
        return failed(argv[1], status);
    printf("%lu inputs, %lu outputs, %lu layers\n", (unsigned long)certus_v1_model_inputs(&model),
        (unsigned long)certus_v1_model_outputs(&model),
        (unsigned long)certus_v1_model_layers(&model));
    if (certus_v1_model_inputs(&model) != 2 || certus_v1_model_outputs(&model) != 1)
        return failed("expected two inputs and one output", CERTUS_V1_STATUS_OK);

    for (size_t i = 0; i < 3; i++)
        if (certify(states[i]) != 0)
            return 1;
    return control();
}
