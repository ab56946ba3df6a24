// The product of relaxed rows with a layer's weights, a tile of rows of one sample at a time:
// out[r][c] = sum_k a[r][k] * w[inner[k]][columns[c]], with the live neurons of that sample on both
// sides, filled up to multiples of 16 with coefficients of 0. ROWS, COLS, DEPTH, THREADS, FOLD and the
// lines marked $ are written by `tile.rs`.
//
// A sum over the inner dimension is cut into blocks of FOLD terms. A block's sum passes through an
// exclusive or of its bits with a word of memory (0) before it is added to the others: no compiler
// may take terms across that, so that a term is rounded FOLD + n/FOLD times at most, not n times.

// Sample and first row within it.
@group(0) @binding(1) var<storage, read> tiles: array<vec2<u32>>;
// [samples] first slot, [samples] rows, [slots] where a slot's row lies in `a`; a last word, 0.
@group(0) @binding(2) var<storage, read> rows: array<u32>;
// [samples][layers] counts, the same of shared neurons, then [samples][neurons].
@group(0) @binding(3) var<storage, read> live: array<u32>;
@group(0) @binding(4) var<storage, read> w: array<f32>;
@group(0) @binding(5) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

// Two of each: one is filled while the other is used. Vectors of DEPTH, one more to part the banks.
var<workgroup> left: array<array<array<vec4<f32>, QUADS + 1u>, ROWS>, 2>;
var<workgroup> right: array<array<array<vec4<f32>, QUADS + 1u>, COLS>, 2>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let tile = tiles[p.tile + group.y];
    let sample = tile.x;
    // Of pairs, the first row of each.
    let every = select(1u, 2u, (p.flags & PAIRED) != 0u);
    let count = rows[p.samples + sample] / every;
    if tile.y >= count {
        return;
    }
    let lists = live_list(sample);
    var inner = live[live_count(sample, p.layer)];
    let shared_inner = live[shared_count(sample, p.layer)];
    if every == 2u {
        inner = shared_inner;
    }
    var across = p.cols;
    if (p.flags & WHOLE) == 0u {
        across = live[live_count(sample, p.layer - 1u)];
    }
    if group.x * COLS >= across {
        return;
    }
    let slot = rows[sample] + every * tile.y;
    let sources = 2u * p.samples;
    let zero = rows[arrayLength(&rows) - 1u];
    // What this thread loads: entries of rows, and of a column of weights.
    $POINT_LEFT
    let column = min(group.x * COLS + t % COLS, across - 1u);
    var at = column;
    if (p.flags & WHOLE) == 0u {
        at = live[lists + p.below + column];
    }
    // What it computes: lanes that read the same words lie side by side.
    let lane = t % 32u;
    let down = t / (4u * ACROSS) * 4u + ((lane & 1u) | (lane / 16u * 2u));
    let side = t / 32u % (ACROSS / 8u) * 8u + lane / 2u % 8u;
    let first = group.x * COLS;
    $DECLARE
    var k = 0u;
    if (p.flags & JOINED) != 0u {
        k = shared_inner;
        $JOIN
    }
    var now = 0u;
    var block = 0u;
    {
        $LOAD
        $KEEP
    }
    workgroupBarrier();
    while k < inner {
        k += DEPTH;
        // Past the end once, which is not used.
        $LOAD
        $COMPUTE
        now = 1u - now;
        $KEEP
        block += DEPTH;
        if block == FOLD {
            block = 0u;
            $ADD
            $CLEAR
        }
        workgroupBarrier();
    }
    $ADD
    $STORE
}
