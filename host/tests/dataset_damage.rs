//! Files cut off at every byte and with every bit flipped: read or refused, never a panic.

use std::io::Write;
use std::path::Path;

use certus::dataset::{CsvLabels, Dataset, parse, parse_labels};
use certus::error::Result;

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn x() -> Vec<u8> {
    let numbers: Vec<u8> = (0..6).flat_map(|i| (i as f32 / 4.0).to_le_bytes()).collect();
    npy("<f4", "(2, 3)", &numbers)
}

fn npz(method: zip::CompressionMethod, arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (key, bytes) in arrays {
        zip.start_file(format!("{key}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn idx() -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3];
    bytes.extend([1, 2, 3, 4, 5, 6]);
    bytes
}

fn read(bytes: &[u8], name: &str) -> Result<Dataset> {
    parse(bytes.to_vec(), Path::new(name), CsvLabels::First)
}

/// Reads `whole`, then everything one cut or one flipped bit away from it.
fn damage(name: &str, whole: &[u8]) {
    let sound = read(whole, name).unwrap();
    assert_eq!((sound.rows, sound.cols), (2, 3), "{name}");
    for length in 0..whole.len() {
        if let Ok(data) = read(&whole[..length], name) {
            // Text may end anywhere and still be a shorter text.
            assert!(name.ends_with("csv"), "{name} cut at {length} was read");
            assert_eq!(data.inputs.len(), data.rows * data.cols);
        }
    }
    let mut bytes = whole.to_vec();
    for bit in 0..8 * whole.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(data) = read(&bytes, name) {
            assert_eq!(data.inputs.len(), data.rows * data.cols);
            assert_eq!(data.shape.iter().product::<usize>(), data.cols);
            assert!(data.inputs.iter().all(|v| v.is_finite()));
        }
        let _ = parse_labels(bytes.clone(), Path::new(name));
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn npy_files() {
    damage("x.npy", &x());
}

#[test]
fn npz_files() {
    let arrays = [("X", x()), ("y", npy("<i8", "(2,)", &[0; 16]))];
    damage("stored.npz", &npz(zip::CompressionMethod::Stored, &arrays));
    damage("deflated.npz", &npz(zip::CompressionMethod::Deflated, &arrays));
}

#[test]
fn idx_files() {
    damage("x-idx3-ubyte", &idx());
    damage("x-idx3-ubyte.gz", &gz(&idx()));
}

#[test]
fn csv_files() {
    damage("x.csv", b"label,a,b,c\n1,0.5,2,3\n0,4,5e-1,-6\n");
}

#[test]
fn archives_tell_their_keys() {
    let read =
        |arrays: &[(&str, Vec<u8>)]| read(&npz(zip::CompressionMethod::Stored, arrays), "keys.npz");
    let told = read(&[("a", x()), ("b", x())]).unwrap_err().to_string();
    assert!(told.contains("keys: found a, b; expected one of X, x, images"), "{told}");
    assert_eq!(read(&[("only", x())]).unwrap().labels, None);
    let labels = npy("|u1", "(3,)", &[1; 3]);
    let told = read(&[("x", x()), ("labels", labels)]).unwrap_err().to_string();
    assert!(told.contains("3 labels, expected 2"), "{told}");
}

#[test]
fn random_bytes_under_every_name() {
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    for round in 0..4000 {
        let mut bytes: Vec<u8> = (0..round % 97)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed as u8
            })
            .collect();
        for name in ["x", "x.npy", "x.npz", "x.csv", "x.bin", "x-ubyte", "x.gz"] {
            let _ = read(&bytes, name);
        }
        // Past the gate of the magic numbers, too.
        for magic in
            [&b"\x93NUMPY\x01\x00"[..], b"PK\x03\x04", b"\x1f\x8b\x08", b"\x00\x00\x08\x02"]
        {
            let n = magic.len().min(bytes.len());
            bytes[..n].copy_from_slice(&magic[..n]);
            let _ = read(&bytes, "x");
        }
    }
}

#[test]
fn empty_lines_are_no_samples() {
    assert!(
        read(&gz(&vec![b'\n'; 1 << 20]), "x.csv.gz").unwrap_err().to_string().contains("0 samples")
    );
    assert!(read(b"", "x.csv").is_err());
    assert!(read(b"", "x").is_err());
}
