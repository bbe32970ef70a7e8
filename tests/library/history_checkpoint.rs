//! Checkpoints of histories and proofs of their segments: parsing, printing and comparing.

use patchwork_traces::history::{Checkpoint, InvalidCheckpoint, InvalidProof, SegmentProof};

const TEXT: &str =
    "patchwork-traces/0f1e2d3c4b5a69788796a5b4c3d2e1f0\n231\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

#[test]
fn a_checkpoint_parses_to_itself() {
    let checkpoint: Checkpoint = TEXT.parse().unwrap();
    assert_eq!(checkpoint.id.to_string(), "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    assert_eq!(checkpoint.size, 231);
    let root = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(checkpoint.root.to_string(), root);
    assert_eq!(checkpoint.to_string(), TEXT);
}

#[test]
fn signatures_after_a_blank_line_are_ignored() {
    let signed = format!("{TEXT}\n\u{2014} example.com/witness AAAAAbase64\n");
    assert_eq!(signed.parse::<Checkpoint>(), TEXT.parse());
}

#[test]
fn anything_else_is_not_a_checkpoint() {
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let others = [
        String::new(),
        TEXT.trim_end().to_owned(),
        format!("\n{TEXT}"),
        format!("{TEXT}an extension\n"),
        TEXT.replace('\n', "\r\n"),
        TEXT.replace("patchwork-traces/", "example.com/"),
        TEXT.replace("0f1e", "0F1E"),
        TEXT.replace("0f1e", ""),
        TEXT.replace("231", "0231"),
        TEXT.replace("231", "+231"),
        TEXT.replace("231", "-1"),
        TEXT.replace("231", "18446744073709551616"),
        TEXT.replace(root, &root[..43]),
        TEXT.replace(root, "AAAA"),
        TEXT.replace(root, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        TEXT.replace(root, &root.replace('+', "-")),
        // The last base64 character has bits that belong to no byte.
        TEXT.replace(root, &root.replace("uFU=", "uFV=")),
    ];
    for text in others {
        assert_eq!(text.parse::<Checkpoint>(), Err(InvalidCheckpoint), "{text}");
    }
}

const PROOF: &str = "patchwork-traces-proof 1\n0f1e2d3c4b5a69788796a5b4c3d2e1f0\n1\n3\n\
                     47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nZ/ydYcZThZLxuWUhnZ/i0Pm7n8f5x0B3XO+Nbf0J4x8=\n";

#[test]
fn a_proof_parses_to_itself() {
    let proof: SegmentProof = PROOF.parse().unwrap();
    assert_eq!((proof.segment, proof.size, proof.hashes.len()), (1, 3, 2));
    assert_eq!(proof.to_string(), PROOF);
}

#[test]
fn anything_else_is_not_a_proof() {
    let others = [
        String::new(),
        PROOF.trim_end().to_owned(),
        format!("{PROOF}\n"),
        format!("{PROOF}AAAA\n"),
        PROOF.replace("proof 1", "proof 2"),
        PROOF.replace("0f1e", "0F1E"),
        PROOF.replace("\n1\n", "\n01\n"),
        PROOF.replace("\n1\n", "\n3\n"),
        PROOF.replace("\n3\n", "\n"),
        TEXT.to_owned(),
    ];
    for text in others {
        assert_eq!(text.parse::<SegmentProof>(), Err(InvalidProof), "{text}");
    }
}
