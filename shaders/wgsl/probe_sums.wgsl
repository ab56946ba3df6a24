// Sums of products: in one loop, in any order that the compiler likes; in blocks whose sums pass through
// workgroup memory behind a barrier; and in blocks whose sums pass through an exclusive or of their bits
// with a word of memory, which is 0. Either fixes the order that matters.

struct Sums {
    rows: u32,
    n: u32,
    // Terms of a block; at most 64 blocks.
    block: u32,
    none: u32,
}

@group(0) @binding(0) var<uniform> sums: Sums;
// [rows][n] each.
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
// For each row: in one loop, in blocks, in fenced blocks.
@group(0) @binding(3) var<storage, read_write> found: array<f32>;

var<workgroup> parts: array<f32, 64>;

fn part(row: u32, from_term: u32, to_term: u32) -> f32 {
    var sum = 0.0;
    for (var i = from_term; i < to_term; i++) {
        sum += a[row * sums.n + i] * b[row * sums.n + i];
    }
    return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let row = group.x;
    let begin = min(t * sums.block, sums.n);
    parts[t] = part(row, begin, min(begin + sums.block, sums.n));
    workgroupBarrier();
    if t == 0u {
        var sum = 0.0;
        for (var k = 0u; k < 64u; k++) {
            sum += parts[k];
        }
        var fenced = 0.0;
        var block = 0.0;
        for (var i = 0u; i < sums.n; i++) {
            block += a[row * sums.n + i] * b[row * sums.n + i];
            if (i + 1u) % sums.block == 0u || i + 1u == sums.n {
                fenced += bitcast<f32>(bitcast<u32>(block) ^ sums.none);
                block = 0.0;
            }
        }
        found[3u * row] = part(row, 0u, sums.n);
        found[3u * row + 1u] = sum;
        found[3u * row + 2u] = fenced;
    }
}
