//! The product's register tiles, unrolled: loops over private arrays are slow on some drivers.

use std::fmt::Write;

use crate::kernel::Kernel;
use crate::layout::GRAIN;

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

// Lists end where a vector of DEPTH does, and a block of FOLD too.
const _: () = {
    let mut i = 0;
    while i < ALL.len() {
        let Tile { depth, fold, .. } = ALL[i];
        assert!((GRAIN as u32).is_multiple_of(depth) && fold.is_multiple_of(depth) && fold == FOLD);
        i += 1;
    }
};

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
            ("$DECLARE", self.each(|r, c| format!("var sum{r}_{c} = 0.0; var part{r}_{c} = 0.0;"))),
            ("$CLEAR", self.each(|r, c| format!("part{r}_{c} = 0.0;"))),
            ("$LOAD", self.load()),
            ("$KEEP", self.keep()),
            ("$COMPUTE", self.compute()),
            ("$ADD", self.each(|r, c| format!("sum{r}_{c} += fence(part{r}_{c}, zero);"))),
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
            // Vectors of DEPTH, and threads of a row of threads.
            ("QUADS", self.depth / 4),
            ("ACROSS", self.cols / (4 * self.across)),
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

    /// One line for each row and column of a thread.
    fn each(&self, line: impl Fn(u32, u32) -> String) -> String {
        let mut text = String::new();
        for r in 0..4 * self.down {
            for c in 0..4 * self.across {
                text += &line(r, c);
                text.push('\n');
            }
        }
        text
    }

    /// A thread's row `r`: pairs of rows, as far apart as there are threads.
    fn row(&self, r: u32) -> String {
        let pairs = self.rows / (4 * self.down);
        format!("(2u * down + {}u)", 2 * pairs * (r / 2) + r % 2)
    }

    /// A thread's column `c`: side by side with other threads'.
    fn column(&self, c: u32) -> String {
        format!("(side + {}u)", self.cols / (4 * self.across) * c)
    }

    /// Vectors of rows, and of columns, that a thread loads at a time.
    fn loads(&self) -> (u32, u32) {
        let quads = self.depth / 4;
        (self.rows * quads / self.threads(), self.cols * quads / self.threads())
    }

    fn point_left(&self) -> String {
        let mut text = String::new();
        for i in 0..self.loads().0 {
            let at = i * self.threads();
            let _ = writeln!(
                text,
                "let quad{i} = (t + {at}u) % QUADS;\n\
                 let row{i} = (t + {at}u) / QUADS;\n\
                 let source{i} = rows[sources + slot + every * min(row{i}, count - 1u - tile.y)] \
                 * p.stride;"
            );
        }
        text
    }

    fn load(&self) -> String {
        let mut text = String::new();
        for i in 0..self.loads().0 {
            let _ = writeln!(text, "let a{i} = a[source{i} + k / 4u + quad{i}];");
        }
        for i in 0..self.loads().1 {
            let at = i * self.threads();
            let _ = writeln!(
                text,
                "let l{i} = lists + p.first + k + (t + {at}u) / COLS * 4u;\n\
                 let w{i} = vec4<f32>(w[live[l{i}] * p.cols + at], w[live[l{i} + 1u] * p.cols + at], \
                 w[live[l{i} + 2u] * p.cols + at], w[live[l{i} + 3u] * p.cols + at]);"
            );
        }
        text
    }

    /// Whole vectors: threads that write parts of one would race.
    fn keep(&self) -> String {
        let mut text = String::new();
        for i in 0..self.loads().0 {
            let _ = writeln!(text, "left[now][row{i}][quad{i}] = a{i};");
        }
        for i in 0..self.loads().1 {
            let at = i * self.threads();
            let _ = writeln!(text, "right[now][t % COLS][(t + {at}u) / COLS] = w{i};");
        }
        text
    }

    fn compute(&self) -> String {
        let mut text = String::new();
        for k in 0..self.depth / 4 {
            for r in 0..4 * self.down {
                let _ = writeln!(text, "let l{k}_{r} = left[now][{}][{k}];", self.row(r));
            }
            for c in 0..4 * self.across {
                let _ = writeln!(text, "let r{k}_{c} = right[now][{}][{k}];", self.column(c));
            }
            for of in ["x", "y", "z", "w"] {
                text += &self.each(|r, c| format!("part{r}_{c} += l{k}_{r}.{of} * r{k}_{c}.{of};"));
            }
        }
        text
    }

    /// Both rows of a pair, which are one thread's, begin with what is shared, of the first's sign.
    fn join(&self) -> String {
        self.each(|r, c| {
            if r % 2 == 1 {
                return format!("sum{r}_{c} = -sum{}_{c};", r - 1);
            }
            let (row, column) = (self.row(r), self.column(c));
            format!("sum{r}_{c} = out[(slot + {row}) * 4u * p.stride + first + {column}];")
        })
    }

    fn store(&self) -> String {
        let mut text = String::new();
        for r in 0..4 * self.down {
            let row = self.row(r);
            let _ = writeln!(text, "if tile.y + {row} < count {{");
            let _ = writeln!(text, "    let to = (slot + every * {row}) * 4u * p.stride + first;");
            for c in 0..4 * self.across {
                let column = self.column(c);
                let _ = writeln!(
                    text,
                    "    if first + {column} < across {{ out[to + {column}] = sum{r}_{c}; }}"
                );
            }
            text += "}\n";
        }
        text
    }
}
