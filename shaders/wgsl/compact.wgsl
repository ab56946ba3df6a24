// Keeps the rows of neurons that are still open, a workgroup a sample; both rows of a neuron, which
// follow one another, stay or go together. Says where the product finds a row that has moved.

@group(0) @binding(1) var<storage, read> ends: array<f32>;
@group(0) @binding(2) var<storage, read_write> slots: array<vec2<u32>>;
// [samples] first slot, [samples] rows, [slots] sources.
@group(0) @binding(3) var<storage, read_write> rows: array<u32>;
@group(0) @binding(4) var<storage, read_write> floors: array<f32>;

var<workgroup> count: u32;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let sample = group.x;
    let first = rows[sample];
    if t == 0u {
        count = rows[p.samples + sample];
    }
    let pairs = workgroupUniformLoad(&count) / 2u;
    let at = sample * 2u * p.width;
    var kept = 0u;
    for (var begin = 0u; begin < pairs; begin += 256u) {
        let from_slot = first + 2u * (begin + t);
        var open = false;
        var row = vec2<u32>();
        var low = 0.0;
        var high = 0.0;
        if begin + t < pairs {
            row = slots[from_slot];
            low = floors[from_slot];
            high = floors[from_slot + 1u];
            let neuron = row.y / 2u;
            open = is_open(ends[at + neuron], ends[at + p.width + neuron]);
        }
        // All has been read before anything is written.
        let place = before(t, open);
        storageBarrier();
        if open {
            let to = first + 2u * (kept + place.x);
            slots[to] = row;
            slots[to + 1u] = row + vec2<u32>(0u, 1u);
            floors[to] = low;
            floors[to + 1u] = high;
            rows[2u * p.samples + to] = from_slot;
            rows[2u * p.samples + to + 1u] = from_slot + 1u;
        }
        kept += place.y;
    }
    if t == 0u {
        rows[p.samples + sample] = 2u * kept;
    }
}
