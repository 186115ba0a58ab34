//! A local registry with a sparse index to which versions can be added.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};

use super::support::{Files, package};

type Pages = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

pub(crate) struct Registry {
    pages: Pages,
    address: String,
}

impl Registry {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let pages = Pages::default();
        let config = format!("{{\"dl\":\"http://{address}/dl/{{crate}}-{{version}}.crate\"}}");
        pages
            .lock()
            .unwrap()
            .insert("/index/config.json".into(), config.into());
        let served = Arc::clone(&pages);
        // It ends with the process.
        std::thread::spawn(move || {
            listener
                .incoming()
                .for_each(|stream| serve(stream.unwrap(), &served));
        });
        Self { pages, address }
    }

    /// The configuration that replaces crates.io by this registry.
    pub(crate) fn config(&self) -> String {
        format!(
            "[source.crates-io]\nreplace-with = \"here\"\n[source.here]\nregistry = \"sparse+http://{}/index/\"\n",
            self.address
        )
    }

    /// Publishes a version of a package that depends on others, all by `^1`.
    pub(crate) fn publish(
        &self,
        name: &str,
        version: &str,
        dependencies: &[&str],
        sources: &[(&str, &str)],
    ) {
        let mut files = Files::new();
        let lines = dependencies
            .iter()
            .map(|name| format!("{name} = \"1\"\n"))
            .collect::<Vec<_>>()
            .concat();
        let directory = format!("{name}-{version}");
        package(
            &mut files,
            &directory,
            &format!("[dependencies]\n{lines}"),
            sources,
        );
        let manifest = files.get_mut(&format!("{directory}/Cargo.toml")).unwrap();
        *manifest = manifest
            .replacen(&directory, name, 1)
            .replacen("0.1.0", version, 1);
        let archive = archive(&files, &directory);
        let digest = Sha256::digest(&archive)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .concat();
        let dependencies: Vec<_> = dependencies
            .iter()
            .map(|name| {
                serde_json::json!({"name": name, "req": "^1", "features": [], "optional": false,
                    "default_features": true, "target": null, "kind": "normal"})
            })
            .collect();
        let line = serde_json::json!({"name": name, "vers": version, "deps": dependencies, "cksum": digest,
            "features": {}, "yanked": false});
        let mut pages = self.pages.lock().unwrap();
        pages.insert(format!("/dl/{directory}.crate"), archive);
        let page = pages
            .entry(format!("/index/{}/{}/{name}", &name[..2], &name[2..4]))
            .or_default();
        page.extend_from_slice(line.to_string().as_bytes());
        page.push(b'\n');
    }
}

fn archive(files: &Files, directory: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        crate::support::trees::write(&dir.path().join(name), text.as_bytes());
    }
    let output = Command::new("tar")
        .args(["-czf", "archive", directory])
        .current_dir(dir.path())
        .output();
    assert!(output.unwrap().status.success());
    fs::read(Path::new(dir.path()).join("archive")).unwrap()
}

fn serve(stream: TcpStream, pages: &Pages) {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let page = pages.lock().unwrap().get(path).cloned();
    let status = if page.is_some() {
        "200 OK"
    } else {
        "404 Not Found"
    };
    let page = page.unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        page.len()
    );
    let mut stream = stream;
    // The client may have disconnected.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&page));
}
