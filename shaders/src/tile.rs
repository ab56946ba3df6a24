//! The product's register tiles, unrolled: loops over private arrays are slow on some drivers.

use std::fmt::Write;

use crate::kernel::Kernel;

/// A tile of the product: of so many rows and columns, each thread with its part in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// The kernel's name.
    pub name: &'static str,
    /// Rows, in quads of threads' rows.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
    /// Inner entries in workgroup memory at a time.
    pub depth: u32,
    /// Quads of rows of a thread.
    pub down: u32,
    /// Quads of columns of a thread.
    pub across: u32,
    /// Terms of a block, whose sum is fenced.
    pub fold: u32,
}

/// Terms of a block in every tile.
pub const FOLD: u32 = 128;

/// For samples with many rows.
pub const WIDE: Tile =
    Tile { name: "product_wide", rows: 128, cols: 128, depth: 16, down: 2, across: 2, fold: FOLD };

/// For fewer.
pub const MIDDLE: Tile =
    Tile { name: "product_middle", rows: 64, cols: 64, depth: 16, down: 1, across: 1, fold: FOLD };

/// For a handful.
pub const NARROW: Tile =
    Tile { name: "product_narrow", rows: 16, cols: 64, depth: 16, down: 1, across: 1, fold: FOLD };

/// All of them.
pub const ALL: [Tile; 3] = [WIDE, MIDDLE, NARROW];

/// Most roundings that a term of a product over `n` inner entries passes through: its product, the
/// sum of its block, the blocks' sums; where what is shared comes first, one block more, and the sum
/// of that.
pub const fn product_depth(n: usize) -> u32 {
    let fold = FOLD as usize;
    let block = if n < fold { n } else { fold };
    (1 + block + n.div_ceil(fold) + 2) as u32
}

impl Tile {
    /// Invocations of a workgroup.
    pub const fn threads(&self) -> u32 {
        (self.rows / (4 * self.down)) * (self.cols / (4 * self.across))
    }

    /// The kernel.
    pub fn kernel(&self) -> Kernel {
        let mut source = include_str!("../wgsl/product.wgsl").to_owned();
        let parts = [
            ("$POINT_LEFT", self.point_left()),
            ("$DECLARE_SUM", self.each(|i, j, c| format!("var sum{i}{j}{c} = vec4<f32>();"))),
            ("$DECLARE", self.each(|i, j, c| format!("var part{i}{j}{c} = vec4<f32>();"))),
            ("$CLEAR", self.each(|i, j, c| format!("part{i}{j}{c} = vec4<f32>();"))),
            ("$LOAD", self.load()),
            ("$KEEP", self.keep()),
            ("$COMPUTE", self.compute()),
            ("$ADD", self.each(|i, j, c| format!("sum{i}{j}{c} += fence(part{i}{j}{c}, zero);"))),
            ("$JOIN", self.join()),
            ("$STORE", self.store()),
        ];
        for (mark, text) in parts {
            let mark = format!("{mark}\n");
            while let Some(at) = source.find(&mark) {
                let indent = at - source[..at].rfind('\n').map_or(0, |at| at + 1);
                let space = format!("\n{}", " ".repeat(indent));
                let text = text.trim_end().replace('\n', &space);
                source.replace_range(at..at + mark.len() - 1, &text);
            }
        }
        let numbers = [
            ("ROWS", self.rows),
            ("COLS", self.cols),
            ("DEPTH", self.depth),
            ("THREADS", self.threads()),
            ("FOLD", self.fold),
            ("QUADS_DOWN", self.rows / 4),
            ("QUADS_ACROSS", self.cols / 4),
            // Threads of a row of threads.
            ("QUADS_PER_ROW", self.cols / (4 * self.across)),
        ];
        let mut head = String::new();
        for (name, value) in numbers {
            // Writing to a string cannot fail.
            let _ = writeln!(head, "const {name} = {value}u;");
        }
        let round = include_str!("../wgsl/shared/round.wgsl");
        let step = include_str!("../wgsl/shared/step.wgsl");
        let source = format!("{head}{round}{step}{source}");
        Kernel { name: self.name, source: source.into(), workgroup: self.threads() }
    }

    /// One line for each quad of rows, quad of columns and row of the quad.
    fn each(&self, line: impl Fn(u32, u32, u32) -> String) -> String {
        let mut text = String::new();
        for i in 0..self.down {
            for j in 0..self.across {
                for c in 0..4 {
                    text += &line(i, j, c);
                    text.push('\n');
                }
            }
        }
        text
    }

    /// Four by four entries of `left` that are loaded at a time, each by a thread.
    fn blocks(&self) -> u32 {
        self.rows / 4 * (self.depth / 4)
    }

    fn point_left(&self) -> String {
        let mut text = String::new();
        let per = self.depth / 4;
        let _ = writeln!(text, "let quad = t % {per}u;");
        let _ = writeln!(text, "let four = t / {per}u;");
        for i in 0..4 {
            let _ = writeln!(
                text,
                "let source{i} = rows[sources + slot + every * min(4u * four + {i}u, count - 1u - tile.y)] \
                 * p.stride;"
            );
        }
        text
    }

    /// Quads of `right` that a thread loads at a time, and the rows of threads between them.
    fn right(&self) -> impl Iterator<Item = (u32, u32)> {
        let quads = self.cols / 4;
        let rows = self.threads() / quads;
        (0..self.depth / rows).map(move |i| (i, i * rows))
    }

    fn load(&self) -> String {
        let mut text = String::new();
        for i in 0..4 {
            let _ = writeln!(text, "var a{i} = vec4<f32>();");
        }
        let _ = writeln!(text, "if t < {}u {{", self.blocks());
        for i in 0..4 {
            let _ = writeln!(text, "    a{i} = a[source{i} + k / 4u + quad];");
        }
        text += "}\n";
        for (i, step) in self.right() {
            let _ = writeln!(
                text,
                "let of{i} = live[lists + p.first + k + t / QUADS_ACROSS + {step}u] * p.cols + at;\n\
                 let w{i} = vec4<f32>(w[of{i}.x], w[of{i}.y], w[of{i}.z], w[of{i}.w]);"
            );
        }
        text
    }

    /// Whole vectors: threads that write parts of one would race.
    fn keep(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "if t < {}u {{", self.blocks());
        for (c, name) in ["x", "y", "z", "w"].into_iter().enumerate() {
            let _ = writeln!(
                text,
                "    left[now][4u * quad + {c}u][four] = \
                 vec4<f32>(a0.{name}, a1.{name}, a2.{name}, a3.{name});"
            );
        }
        text += "}\n";
        for (i, step) in self.right() {
            let _ =
                writeln!(text, "right[now][t / QUADS_ACROSS + {step}u][t % QUADS_ACROSS] = w{i};");
        }
        text
    }

    fn compute(&self) -> String {
        let mut text = String::new();
        let (down, across) = (self.rows / (4 * self.down), self.cols / (4 * self.across));
        for k in 0..self.depth {
            for i in 0..self.down {
                let _ = writeln!(text, "let l{k}_{i} = left[now][{k}][down + {}u];", i * down);
            }
            for j in 0..self.across {
                let _ = writeln!(text, "let r{k}_{j} = right[now][{k}][side + {}u];", j * across);
            }
            text += &self.each(|i, j, c| {
                let part = ["x", "y", "z", "w"][c as usize];
                format!("part{i}{j}{c} += l{k}_{i}.{part} * r{k}_{j};")
            });
        }
        text
    }

    /// Both rows of a pair, which are one thread's, begin with what is shared, of the first's sign.
    fn join(&self) -> String {
        let (down, across) = (self.rows / (4 * self.down), self.cols / (4 * self.across));
        let mut text = String::new();
        for i in 0..self.down {
            for j in 0..self.across {
                for c in [0, 2] {
                    let _ = writeln!(
                        text,
                        "sum{i}{j}{c} = out[(slot + 4u * (down + {}u) + {c}u) * p.stride + first + side \
                         + {}u];",
                        i * down,
                        j * across
                    );
                    let _ = writeln!(text, "sum{i}{j}{} = -sum{i}{j}{c};", c + 1);
                }
            }
        }
        text
    }

    fn store(&self) -> String {
        let mut text = String::new();
        let (down, across) = (self.rows / (4 * self.down), self.cols / (4 * self.across));
        for i in 0..self.down {
            for c in 0..4 {
                let _ = writeln!(text, "let to{i}{c} = 4u * (down + {}u) + {c}u;", i * down);
                let _ = writeln!(text, "if tile.y + to{i}{c} < count {{");
                for j in 0..self.across {
                    let _ = writeln!(text, "    let q{j} = first + side + {}u;", j * across);
                    let _ = writeln!(
                        text,
                        "    if q{j} < quads {{ out[(slot + every * to{i}{c}) * p.stride + q{j}] = \
                         sum{i}{j}{c}; }}"
                    );
                }
                text += "}\n";
            }
        }
        text
    }
}
