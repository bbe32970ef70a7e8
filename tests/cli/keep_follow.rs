//! `keep --follow`: the service adds a segment when enough is new or a log was rotated, and a last one when it is stopped.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use patchwork_traces::History;
use serde_json::Value;

use crate::common::Home;
use crate::common::program::command;

/// The longest wait for a segment. The service looks at the logs every second.
const PATIENCE: Duration = Duration::from_secs(120);

fn rows(from: u64, to: u64) -> String {
    (from..to).map(|n| format!("{{\"taskId\":\"t{n}\",\"createdAt\":{}}}\n", 1_777_716_000_000 + n)).collect()
}

/// A running service.
struct Service {
    home: Home,
    child: Child,
    segments: Receiver<Value>,
}

impl Service {
    /// Starts the service on `runs.jsonl` with 10 rows, and waits for its first segment.
    fn start() -> Self {
        let home = Home::new().with("runs.jsonl", rows(0, 10));
        let arguments = ["keep", "history", "--follow", "--json"];
        let program = command(home.path(), &arguments);
        // Signals that the test was started without are asked for again.
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal=HUP,INT,TERM").arg(program.get_program()).args(arguments);
        command.current_dir(home.path()).env_clear();
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, segments) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines {
                let mut report: Value = serde_json::from_str(&line.unwrap()).unwrap();
                sender.send(report["segments"][0].take()).unwrap();
            }
        });
        let service = Self { home, child, segments };
        assert_eq!(service.next(), (0, 10, "first".to_owned()));
        service
    }

    /// Waits for the next segment. Returns its number, its new rows, and the state of the log.
    fn next(&self) -> (u64, u64, String) {
        let segment = self.segments.recv_timeout(PATIENCE).expect("a segment is added");
        let state = segment["logs"][0]["follows"]["state"].as_str().unwrap().to_owned();
        (segment["segment"].as_u64().unwrap(), segment["rows"].as_u64().unwrap(), state)
    }

    fn append(&self, rows: &str) {
        let log = self.home.dirs().patchwork.join("runs.jsonl");
        OpenOptions::new().append(true).open(log).unwrap().write_all(rows.as_bytes()).unwrap();
    }

    /// Stops the service by a signal, and checks that it ends well. Returns its last segment.
    fn stop(mut self, signal: &str) -> (u64, u64, String) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let last = self.next();
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!((self.child.wait().unwrap().code(), errors.as_str()), (Some(0), ""));
        assert!(self.segments.recv_timeout(PATIENCE).is_err(), "nothing follows the last segment");
        let history = History::open(self.home.path().join("history")).unwrap();
        assert_eq!(history.segments().len() as u64, last.0 + 1);
        last
    }
}

#[test]
fn termination_request_adds_a_last_segment() {
    for signal in ["-TERM", "-INT"] {
        let service = Service::start();
        service.append(&rows(10, 13));
        assert_eq!(service.stop(signal), (1, 3, "continues".to_owned()));
    }
}

#[test]
fn growth_adds_a_segment() {
    let service = Service::start();
    service.append(&rows(10, 20));
    let many = rows(20, 3_000);
    assert!(many.len() > 112 << 10);
    service.append(&many);
    let (segment, added, state) = service.next();
    assert_eq!((segment, state.as_str()), (1, "continues"));
    // The rows can be appended in the middle of a look at the logs.
    let (_, rest, _) = service.stop("-TERM");
    assert_eq!(added + rest, 2_990);
}

#[test]
fn rotation_adds_a_segment() {
    let service = Service::start();
    service.append(&rows(10, 12));
    let part = service.home.path().join("part");
    fs::write(&part, rows(8, 12)).unwrap();
    fs::rename(part, service.home.dirs().patchwork.join("runs.jsonl")).unwrap();
    assert_eq!(service.next(), (1, 2, "continues".to_owned()));
    assert_eq!(service.stop("-TERM"), (2, 0, "unchanged".to_owned()));
}
