//! Data files by others, where they are at hand.

use std::path::{Path, PathBuf};

use certus::dataset::{CsvLabels, read, read_with};

/// The file under the shared data folder, or a line that says it was skipped.
fn shared(name: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if !file.exists() {
        println!("skipped: {} is not there", file.display());
        return None;
    }
    Some(file)
}

#[test]
fn mnist_and_fashion_mnist() {
    for (set, first, second) in [("mnist", [7, 2, 1], 84), ("fashion-mnist", [9, 2, 1], 0)] {
        let name = |what: &str| format!("datasets/{set}/t10k-{what}.gz");
        let (Some(images), Some(labels)) =
            (shared(&name("images-idx3-ubyte")), shared(&name("labels-idx1-ubyte")))
        else {
            continue;
        };
        let data = read(&images, Some(&labels)).unwrap();
        assert_eq!((data.rows, data.cols, &data.shape[..]), (10_000, 784, &[28, 28][..]));
        assert_eq!(data.labels.as_ref().unwrap()[..3], first);
        assert_eq!(data.row(0)[7 * 28 + 6], second as f32);
        assert!(data.inputs.iter().all(|v| (0.0..=255.0).contains(v) && v.fract() == 0.0));
        assert!(read(&labels, None).unwrap_err().to_string().contains("holds labels"));
        assert!(read(&images, Some(&images)).unwrap_err().to_string().contains("[n, 1]"));
    }
}

#[test]
fn the_same_mnist_images_as_csv() {
    let (Some(idx), Some(csv)) =
        (shared("datasets/mnist/t10k-images-idx3-ubyte.gz"), shared("eran/mnist_test.csv"))
    else {
        return;
    };
    let (idx, csv) = (read(&idx, None).unwrap(), read(&csv, None).unwrap());
    assert_eq!((csv.rows, csv.cols), (100, 784));
    assert_eq!(csv.inputs[..], idx.inputs[..78_400]);
    assert_eq!(csv.labels.unwrap()[..4], [7, 2, 1, 0]);
}

#[test]
fn the_same_cifar_images_as_csv() {
    let (Some(bin), Some(csv)) =
        (shared("datasets/cifar10/test_batch_first1000.bin.gz"), shared("eran/cifar10_test.csv"))
    else {
        return;
    };
    let (bin, csv) = (read(&bin, None).unwrap(), read(&csv, None).unwrap());
    assert_eq!((bin.rows, &bin.shape[..]), (1000, &[3, 32, 32][..]));
    assert_eq!((csv.rows, csv.cols), (100, 3072));
    assert_eq!(csv.labels.as_ref().unwrap()[..], bin.labels.as_ref().unwrap()[..100]);
    // The CSV interleaves the channels, the records do not.
    for i in 0..100 {
        for at in 0..1024 {
            for channel in 0..3 {
                assert_eq!(csv.row(i)[3 * at + channel], bin.row(i)[1024 * channel + at]);
            }
        }
    }
}

#[test]
fn digits_have_their_label_last() {
    let Some(file) = shared("datasets/digits8x8/digits.csv.gz") else { return };
    let data = read_with(&file, None, CsvLabels::Last).unwrap();
    assert_eq!((data.rows, data.cols), (1797, 64));
    assert_eq!(data.labels.as_ref().unwrap()[..3], [0, 1, 2]);
    assert_eq!(data.row(0)[..5], [0.0, 0.0, 5.0, 13.0, 9.0]);
    assert_eq!(read_with(&file, None, CsvLabels::None).unwrap().cols, 65);
}

#[test]
fn ten_images_as_npy() {
    let Some(file) = shared("relax_barrier/experiment_2/ten_test_images.npy") else { return };
    let data = read(&file, None).unwrap();
    assert_eq!((data.rows, data.cols, &data.shape[..]), (10, 784, &[1, 28, 28][..]));
    assert!(data.inputs.iter().all(|v| (0.0..=1.0).contains(v)));
}

#[test]
fn reference_archives() {
    let mut read_any = false;
    for (name, rows, cols, labelled) in [
        ("mnist_784_500_10__linf", 32, 784, true),
        ("mnist_3x1024__l2", 16, 784, true),
        ("acas_shape__linf", 32, 5, true),
        ("robot_tanh__l2", 32, 12, true),
    ] {
        let Some(file) = shared(&format!("reference/{name}.npz")) else { continue };
        let data = read(&file, None).unwrap();
        assert_eq!((data.rows, data.cols, data.labels.is_some()), (rows, cols, labelled), "{name}");
        read_any = true;
    }
    println!("archives read: {read_any}");
}

#[test]
fn labels_of_an_npy_beside() {
    let (Some(x), Some(y)) =
        (shared("sdp/data/mnist/X_sdp.npy"), shared("sdp/data/mnist/y_sdp.npy"))
    else {
        return;
    };
    let data = read(&x, Some(&y)).unwrap();
    assert_eq!(data.labels.unwrap().len(), data.rows);
}
