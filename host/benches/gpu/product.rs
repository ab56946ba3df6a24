//! The product kernel alone, all neurons live.

use std::time::Instant;

use certus::gpu::{Buffer, Device};
use certus_shaders::layout::Step;
use certus_shaders::tile::Tile;

use super::median;

/// `n` rows times an `n` by `n` matrix, all neurons live, the rows of `n / rows` samples.
struct Square {
    n: usize,
    buffers: Vec<Buffer>,
    tiles: usize,
}

impl Square {
    fn new(device: &Device, tile: &Tile, n: usize) -> Self {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut floats =
            |count: usize| -> Vec<f32> { (0..count).map(|_| rng.f32() - 0.5).collect() };
        let tiles: Vec<[u32; 2]> =
            (0..n as u32).step_by(tile.rows as usize).map(|r| [0, r]).collect();
        let mut rows = vec![0, n as u32];
        rows.extend(0..n as u32);
        rows.push(0);
        let mut live = vec![n as u32, n as u32, n as u32, n as u32];
        live.extend(0..n as u32);
        live.extend(0..n as u32);
        let n32 = n as u32;
        let step = Step {
            samples: 1,
            neurons: 2 * n32,
            layers: 2,
            layer: 1,
            first: n32,
            below: 0,
            rows: n32,
            cols: n32,
            stride: n32 / 4,
            ..Step::default()
        };
        let buffers = vec![
            device.uniform(bytemuck::bytes_of(&step)),
            device.upload(bytemuck::cast_slice(&tiles)),
            device.upload(bytemuck::cast_slice(&rows)),
            device.upload(bytemuck::cast_slice(&live)),
            device.upload(bytemuck::cast_slice(&floats(n * n))),
            device.upload(bytemuck::cast_slice(&floats(n * n))),
            device.empty(n * n),
        ];
        Self { n, buffers, tiles: tiles.len() }
    }

    fn seconds(&self, device: &Device, tile: &Tile, times: usize) -> f64 {
        let kernel = tile.kernel();
        let bound: Vec<&Buffer> = self.buffers.iter().collect();
        let begun = Instant::now();
        let mut tape = device.tape();
        for _ in 0..times {
            let across = (self.n as u32).div_ceil(tile.cols);
            tape.dispatch(&kernel, &bound, [across, self.tiles as u32, 1])
                .expect("the kernel runs");
        }
        tape.read(&self.buffers[6], 4);
        tape.submit().expect("the kernel runs");
        begun.elapsed().as_secs_f64()
    }
}

/// Multiply-adds a second of a tile at one size: the median of five.
pub fn rate(device: &Device, tile: Tile, n: usize) -> f64 {
    let square = Square::new(device, &tile, n);
    let one = square.seconds(device, &tile, 1);
    let times = ((0.1 / one) as usize).clamp(1, 2000);
    // Two lengths: their difference has no start-up and no reading in it.
    let once = |_| {
        let short = square.seconds(device, &tile, times);
        let long = square.seconds(device, &tile, 3 * times);
        (n as f64).powi(3) * 2.0 * times as f64 / (long - short)
    };
    median((0..5).map(once).collect())
}
