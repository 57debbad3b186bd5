//! The functions behind PgBouncer in transaction mode, as behind a pooled Neon URL. The program is
//! Debian's package `pgbouncer`.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::harness::hot_key::hot_key;
use crate::harness::{Database, Reply, World, eventually};

/// A pooler in front of the tests' PostgreSQL.
struct PgBouncer {
    port: u16,
    folder: PathBuf,
    process: Child,
}

impl PgBouncer {
    async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = std::env::temp_dir().join(format!("textbook-chat-pgbouncer-{port}"));
        fs::create_dir_all(&folder).unwrap();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 8\nmax_client_conn = 500\n",
            Database::port()
        );
        let file = folder.join("pgbouncer.ini");
        fs::write(&file, settings).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new("pgbouncer");
        // It refuses to run as root.
        let nobody = 65_534;
        if nix_is_root() {
            command.uid(nobody).gid(nobody);
        }
        let process = command
            .arg("--quiet")
            .arg(&file)
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer is not there; on Debian: apt-get install pgbouncer");
        let pooler = Self {
            port,
            folder,
            process,
        };
        let listening = eventually(async || TcpStream::connect(("127.0.0.1", port)).ok());
        listening.await.expect("pgbouncer does not listen");
        pooler
    }
}

fn nix_is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn behind_pgbouncer() -> (World, PgBouncer) {
    let pooler = PgBouncer::start().await;
    (World::behind(pooler.port).await, pooler)
}

#[tokio::test]
async fn conversations_keys_and_pages_work_as_they_do_without() {
    let (world, _pooler) = behind_pgbouncer().await;
    let chat = world.chat().await;
    let first = chat
        .post_with(&json!({ "message": "one" }), ("idempotency-key", "k1"))
        .await;
    let session = first.field("session_id");
    let again = chat
        .post_with(&json!({ "message": "one" }), ("idempotency-key", "k1"))
        .await;
    assert_eq!(again.json(), first.json());
    assert_eq!(
        chat.ask_in(&session, "two").await.field("session_id"),
        session
    );
    assert_eq!(world.model.asked()[1].messages().len(), 4);
    let page = chat.get(&format!("/chat?session_id={session}")).await;
    assert_eq!(page.json()["messages"].as_array().unwrap().len(), 4);
    assert_eq!(
        world.health().await.get("/health?check=ready").await.status,
        200
    );
}

#[tokio::test]
async fn of_many_at_once_exactly_the_burst_and_the_pace_get_through() {
    let (world, _pooler) = behind_pgbouncer().await;
    hot_key(world).await;
}
