// How many of a workgroup's 256 invocations before this one, and in all, have a mark.

var<workgroup> marks: array<u32, 256>;

fn before(t: u32, mark: bool) -> vec2<u32> {
    workgroupBarrier();
    marks[t] = select(0u, 1u, mark);
    workgroupBarrier();
    for (var step = 1u; step < 256u; step *= 2u) {
        var sum = marks[t];
        if t >= step {
            sum += marks[t - step];
        }
        workgroupBarrier();
        marks[t] = sum;
        workgroupBarrier();
    }
    return vec2<u32>(marks[t] - select(0u, 1u, mark), marks[255]);
}
