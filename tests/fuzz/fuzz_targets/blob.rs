//! Any bytes as a model blob: refused, or every accessor keeps what the check promised.
//!
//! The first byte says how much is put right before, since no search finds a CRC: nothing (twice
//! as likely), the header, or the header and the layout of the layers; in the other half of its values
//! also the header and the shape of a table of regions, which what is left of the bytes becomes.
#![no_main]

use certus_engine::model::blob::{self, ENTRY_WORDS, HEADER_WORDS};
use certus_engine::model::{Model, Row};
use certus_engine::monitor::Rule;
use certus_engine::regions::{self, Branch, Regions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&mode, bytes)) = data.split_first() else { return };
    let unaligned = Model::from_bytes(bytes).is_ok();

    let quads = bytes.chunks_exact(4);
    let whole = quads.remainder().is_empty();
    let mut words: Vec<u32> = quads.map(|q| u32::from_le_bytes([q[0], q[1], q[2], q[3]])).collect();
    if unaligned {
        assert!(whole && Model::from_words(&words).is_ok(), "two answers to the same bytes");
    }
    let table = (mode & 4 != 0).then(|| {
        // Up to 31 of the last words.
        words.split_off(words.len().saturating_sub(usize::from(mode >> 3)))
    });
    if words.len() >= HEADER_WORDS {
        match mode % 4 {
            2 => right_header(&mut words),
            3 => {
                right_layout(&mut words);
                right_header(&mut words);
            }
            _ => {}
        }
    }
    if let Ok(model) = Model::from_words(&words) {
        walk(&model);
        if let Some(mut table) = table {
            right_table(&mut table, &model);
            words.extend(table);
        }
    }
    if let Ok(model) = Model::from_words(&words)
        && let Some(regions) = model.regions()
    {
        look_up(&regions, bytes);
    }
});

/// What the header of a table must say behind the model, and the length that it comes to; numbers and
/// nodes stay as they are.
fn right_table(table: &mut Vec<u32>, model: &Model<'_>) {
    table.resize(table.len().max(regions::HEADER_WORDS), 0);
    let (n, m) = (model.inputs(), model.outputs());
    let limits = if table[7] == regions::LIMITS { 2 * m } else { 0 };
    let nodes = table[9] as usize % 16;
    let end = regions::HEADER_WORDS + 3 * n + limits + regions::NODE_WORDS * nodes;
    table.resize(end, 0);
    table.resize(blob::align(end), 0);
    (table[0], table[1], table[2]) = (regions::MAGIC, regions::VERSION, table.len() as u32);
    (table[4], table[5], table[6]) = (model.words()[blob::CRC_WORD], n as u32, m as u32);
    table[9] = nodes as u32;
    table[blob::CRC_WORD] = blob::crc(table);
}

/// Calls every accessor of a checked table, and looks up points made of the bytes.
fn look_up(regions: &Regions<'_>, bytes: &[u8]) {
    let (lo, hi) = regions.range();
    assert!(
        lo.len() == regions.inputs() && hi.len() == lo.len() && regions.error().len() == lo.len()
    );
    assert!(regions.error().iter().all(|e| *e >= 0.0 && e.is_finite()));
    let classes = match regions.rule() {
        Rule::Limits { lo, hi } => {
            assert!(lo.len() == regions.outputs() && lo.iter().zip(hi).all(|(lo, hi)| lo < hi));
            1
        }
        Rule::Class { margin } => {
            assert!(margin >= 0.0);
            regions.outputs()
        }
    };
    let fits = |branch: Branch, from: usize| match branch {
        Branch::Node(index) => from <= index && index < regions.nodes(),
        Branch::Leaf(answer) => answer.is_none_or(|class| class < classes),
    };
    assert!(fits(regions.root(), 0) && regions.node(regions.nodes()).is_none());
    for i in 0..regions.nodes() {
        let node = regions.node(i).unwrap();
        assert!(node.input < lo.len() && lo[node.input] < node.value);
        assert!(fits(node.below, i + 1) && fits(node.above, i + 1));
    }
    for start in 0..8.min(bytes.len()) {
        let quads = bytes[start..].chunks_exact(4).chain([&[0u8; 4][..]].into_iter().cycle());
        let x: Vec<f32> =
            quads.take(lo.len()).map(|q| f32::from_le_bytes([q[0], q[1], q[2], q[3]])).collect();
        if regions.find(&x).is_some() {
            assert!(x.iter().zip(lo.iter().zip(hi)).all(|(x, (lo, hi))| lo <= x && x <= hi));
        }
    }
    assert!(regions.find(lo).is_none_or(|class| class < classes));
    assert!(regions.find(&vec![f32::NAN; lo.len()]).is_none() && regions.find(&[]).is_none());
}

/// Magic, version, length and CRC.
fn right_header(words: &mut [u32]) {
    words[0] = blob::MAGIC;
    words[1] = blob::VERSION;
    words[2] = words.len() as u32;
    words[blob::CRC_WORD] = blob::crc(words);
}

/// Small widths that fit each other, offsets as the format wants them, and the length they give.
fn right_layout(words: &mut Vec<u32>) {
    let layers = words[4] as usize % 4 + 1;
    let mut at = blob::align(HEADER_WORDS + layers * ENTRY_WORDS);
    words.resize(words.len().max(at), 0);
    let mut cols = words[5] % 8 + 1;
    (words[4], words[5], words[7]) = (layers as u32, cols, 0);
    for k in 0..layers {
        let entry = &mut words[HEADER_WORDS + k * ENTRY_WORDS..][..ENTRY_WORDS];
        let rows = entry[0] % 8 + 1;
        let kind = entry[2] >> 16;
        let bias = blob::align(at + blob::weight_words(rows as usize, cols as usize, kind));
        (entry[0], entry[1], entry[4], entry[5]) = (rows, cols, at as u32, bias as u32);
        (entry[9], entry[10], entry[11]) = (entry[9] % (rows + 1), 0, 0);
        at = blob::align(bias + rows as usize);
        cols = rows;
    }
    words[6] = cols;
    words.resize(at, 0);
}

/// Calls every accessor of a checked model.
fn walk(model: &Model<'_>) {
    let layers = model.layers();
    assert!(layers.len() == model.depth() && model.depth() > 0);
    assert!(model.layer(model.depth()).is_none() && model.rows(model.depth()) == 0);
    let (mut cols, mut neurons, mut width) = (model.inputs(), 0, model.inputs());
    for (k, layer) in layers.enumerate() {
        assert!(layer.cols == cols && layer.rows == model.rows(k) && layer.rows > 0);
        assert!(layer.bias.len() == layer.rows && layer.bias.iter().all(|b| b.is_finite()));
        assert!((0.0..=1.0).contains(&layer.weight_error) && layer.through <= layer.rows);
        assert!(layer.bias_error >= 0.0 && layer.bias_error.is_finite());
        assert!(!layer.activation.apply(-1.0).is_nan());
        let mut gathered = vec![0.0; layer.cols];
        for i in 0..layer.rows {
            let row = layer.row(i);
            assert_eq!(length(&row), layer.cols);
            row.gather(None, &mut gathered);
            for (j, weight) in gathered.iter().enumerate() {
                assert!(weight.is_finite() && weight.to_bits() == row.get(j).to_bits());
            }
            row.gather(Some(&[0, u32::MAX]), &mut gathered);
            assert_eq!(row.get(layer.cols), 0.0);
        }
        assert_eq!(length(&layer.row(layer.rows)), 0);
        cols = layer.rows;
        neurons += layer.rows;
        width = width.max(layer.rows);
    }
    assert!(model.outputs() == cols && model.neurons() == neurons && model.width() == width);
}

fn length(row: &Row<'_>) -> usize {
    match row {
        Row::F32(weights) => weights.len(),
        Row::F16(weights) => weights.len(),
    }
}
