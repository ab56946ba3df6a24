//! Checks of the blob's check: a hand-made blob, and every header field damaged.

extern crate std;
use std::vec::Vec;

use super::*;
use crate::monitor::Rule;
use crate::regions::RegionsError;
use crate::regions::tests::{OPEN, table};

/// 2-1 net: `relu(1*x0 - 2*x1 + 0.5)`, in version 1.
fn blob() -> [u32; 24] {
    let mut w = [0u32; 24];
    w[0] = blob::MAGIC;
    w[1] = blob::OLDEST;
    w[2] = 24;
    w[4] = 1;
    w[5] = 2;
    w[6] = 1;
    w[8] = 1;
    w[9] = 2;
    w[10] = blob::RELU;
    w[12] = 16;
    w[13] = 20;
    w[16] = 1.0f32.to_bits();
    w[17] = (-2.0f32).to_bits();
    w[20] = 0.5f32.to_bits();
    seal(&mut w);
    w
}

fn seal(words: &mut [u32]) {
    words[blob::CRC_WORD] = blob::crc(words);
}

#[test]
fn a_valid_blob_reads_back() {
    let words = blob();
    let model = Model::from_words(&words).unwrap();
    assert_eq!((model.depth(), model.inputs(), model.outputs(), model.width()), (1, 2, 1, 2));
    let layer = model.layer(0).unwrap();
    assert_eq!(layer.activation, Activation::Relu);
    assert_eq!(layer.bias, [0.5]);
    assert!(matches!(layer.row(0), Row::F32([1.0, -2.0])));
    assert!(matches!(layer.row(1), Row::F32([])));
    assert!(model.layer(1).is_none());
}

/// The same net in version 2.
fn second() -> [u32; 28] {
    let (mut w, first) = ([0u32; 28], blob());
    w[..16].copy_from_slice(&first[..16]);
    w[20..].copy_from_slice(&first[16..]);
    (w[1], w[2], w[12], w[13]) = (blob::VERSION, 28, 20, 24);
    w[blob::CRC_WORD] = blob::crc(&w);
    w
}

#[test]
fn version_2_has_more_activations_and_checks_their_parameters() {
    let words = second();
    let model = Model::from_words(&words).unwrap();
    let layer = model.layer(0).unwrap();
    assert_eq!((layer.activation, layer.through), (Activation::Relu, 0));
    let with = |edits: &[(usize, u32)]| {
        let mut words = second();
        edits.iter().for_each(|(at, value)| words[*at] = *value);
        words[blob::CRC_WORD] = blob::crc(&words);
        let model = Model::from_words(&words)?;
        let layer = model.layer(0).unwrap();
        Ok((layer.activation, layer.through))
    };
    let float = |x: f32| x.to_bits();
    let clip = |lo, hi| with(&[(10, blob::CLIP), (11, float(lo)), (16, float(hi))]);
    assert_eq!(clip(-1.0, 1.0), Ok((Activation::Clip(-1.0, 1.0), 0)));
    assert_eq!(with(&[(10, blob::ELU), (11, float(1.5))]), Ok((Activation::Elu(1.5), 0)));
    assert_eq!(with(&[(10, blob::TANH), (17, 1)]), Ok((Activation::Tanh, 1)));
    let bad = |field| Err(BlobError::Layer { layer: 0, field });
    for (lo, hi) in
        [(1.0, 1.0), (2.0, 1.0), (f32::NAN, 1.0), (0.0, 1e30), (-0.0, 1.0), (0.0, 1e-45)]
    {
        assert_eq!(clip(lo, hi), bad(Field::Activation), "{lo} {hi}");
    }
    for scale in [0.0, -1.0, f32::INFINITY, 1e-40] {
        let found = with(&[(10, blob::ELU), (11, float(scale))]);
        assert_eq!(found, bad(Field::Activation), "{scale}");
    }
    assert_eq!(with(&[(10, blob::TANH), (11, 1)]), bad(Field::Activation));
    assert_eq!(with(&[(10, blob::GELU + 1)]), bad(Field::Activation));
    assert_eq!(with(&[(16, 1)]), bad(Field::Activation));
    assert_eq!(with(&[(17, 2)]), bad(Field::Through));
    assert_eq!(with(&[(18, 1)]), bad(Field::Reserved));
    assert_eq!(with(&[(19, 1)]), bad(Field::Reserved));
}

/// A table for the model, open everywhere.
fn regions(model: &[u32], inputs: &[f32]) -> Vec<u32> {
    let limits = Rule::Limits { lo: &[0.0], hi: &[1.0] };
    let crc = model[blob::CRC_WORD];
    table(crc, (inputs, inputs), inputs, 1, &limits, &[], (OPEN, 0))
}

#[test]
fn a_table_of_regions_follows_its_model() {
    for model in [blob().to_vec(), second().to_vec()] {
        assert!(Model::from_words(&model).unwrap().regions().is_none());
        let with = |table: &[u32]| [&model, table].concat();
        let good = with(&regions(&model, &[0.0, 2.0]));
        let found = Model::from_words(&good).unwrap();
        assert_eq!(found.words(), good);
        assert_eq!(found.regions().unwrap().words(), &good[model.len()..]);
        assert!(matches!(found.layer(0).unwrap().row(0), Row::F32([1.0, -2.0])));
        // Not of a part of it: its outputs are not the model's.
        assert!(found.up_to(0).unwrap().regions().is_none());
        for at in 0..good.len() {
            for bit in 0..32 {
                let mut words = good.clone();
                words[at] ^= 1 << bit;
                assert!(Model::from_words(&words).is_err(), "word {at} bit {bit}");
            }
        }
        for length in (0..good.len()).filter(|length| *length != model.len()) {
            assert!(Model::from_words(&good[..length]).is_err(), "{length} words");
        }
        let error = |words: &[u32]| Model::from_words(words).unwrap_err();
        let mut other = model.clone();
        other[blob::CRC_WORD] ^= 1;
        let other = with(&regions(&other, &[0.0, 2.0]));
        assert_eq!(error(&other), BlobError::Regions(RegionsError::Model));
        let narrow = with(&regions(&model, &[2.0]));
        assert_eq!(error(&narrow), BlobError::Regions(RegionsError::Width));
        assert_eq!(error(&with(&[0; 16])), BlobError::Length);
        assert_eq!(error(&with(&good[model.len()..][..5])), {
            BlobError::Regions(RegionsError::Truncated)
        });
        let twice = [&good[..], &good[model.len()..]].concat();
        assert_eq!(error(&twice), BlobError::Regions(RegionsError::Length));
    }
}

#[test]
fn checking_is_const() {
    const WORDS: [u32; 24] = {
        let mut w = [0u32; 24];
        w[0] = blob::MAGIC;
        w
    };
    const RESULT: Result<Model<'static>, BlobError> = Model::from_words(&WORDS);
    assert_eq!(RESULT.unwrap_err(), BlobError::Version(0));
}

#[test]
fn crc_is_the_usual_one() {
    // "123456789" has CRC 0xCBF43926; as words, padded by hand to a multiple of 4 it is tested by
    // the standard vector of 8 bytes "12345678": 0x9AE0DAAF.
    let words = [u32::from_le_bytes(*b"1234"), u32::from_le_bytes(*b"5678")];
    assert_eq!(blob::crc(&words), 0x9AE0_DAAF);
}

#[test]
fn any_flipped_bit_is_found() {
    let good = blob();
    for i in 0..good.len() {
        for bit in 0..32 {
            let mut words = good;
            words[i] ^= 1 << bit;
            assert!(Model::from_words(&words).is_err(), "word {i} bit {bit}");
        }
    }
}

#[test]
fn each_damaged_field_is_named_though_the_checksum_fits() {
    use BlobError as E;
    let layer = |field| E::Layer { layer: 0, field };
    let nan = f32::NAN.to_bits();
    let cases: &[(usize, u32, E)] = &[
        (0, 1, E::Magic),
        (1, 3, E::Version(3)),
        (10, blob::TANH, layer(Field::Activation)),
        (2, 23, E::Length),
        (4, 0, E::LayerCount),
        (4, 5000, E::LayerCount),
        (4, 3, E::Truncated),
        (5, 0, E::Inputs),
        (5, 3, E::Inputs),
        (6, 2, E::Outputs),
        (7, 1, E::Reserved),
        (8, 0, layer(Field::Rows)),
        (8, u32::MAX, layer(Field::Rows)),
        (8, 1 << 20, E::Truncated),
        (9, 7, E::Inputs),
        (10, 9, layer(Field::Activation)),
        (10, blob::RELU | 7 << 16, layer(Field::WeightKind)),
        (11, 1, layer(Field::Activation)),
        (12, 17, layer(Field::WeightOffset)),
        (13, 21, layer(Field::BiasOffset)),
        (14, nan, layer(Field::WeightError)),
        (14, (-1.0f32).to_bits(), layer(Field::WeightError)),
        (15, f32::INFINITY.to_bits(), layer(Field::BiasError)),
        (16, nan, layer(Field::Weight)),
        (20, f32::INFINITY.to_bits(), layer(Field::Bias)),
    ];
    for &(at, value, expected) in cases {
        let mut words = blob();
        words[at] = value;
        seal(&mut words);
        assert_eq!(Model::from_words(&words).unwrap_err(), expected, "word {at} = {value}");
    }
    let mut words = blob();
    words[20] = 0;
    assert_eq!(Model::from_words(&words).unwrap_err(), E::Crc);
    for len in 0..24 {
        assert!(Model::from_words(&blob()[..len]).is_err());
    }
    assert_eq!(Model::from_bytes(&[0; 7]).unwrap_err(), E::Misaligned);
}
