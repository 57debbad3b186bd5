//! The bundle under Vercel's own command line, without an account: `vercel build` makes what is
//! deployed, `vercel dev` serves it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{ROOT, target};
use crate::harness::model::ANSWER;
use crate::harness::site::{Server, fixture};
use crate::harness::{Database, World};

/// What the functions may need from the machine that they run on: the C library and its parts.
const SYSTEM_LIBRARIES: [&str; 5] = [
    "linux-vdso.so",
    "libc.so",
    "libm.so",
    "libgcc_s.so",
    "/ld-linux",
];

#[tokio::test]
async fn vercel_build_makes_functions_that_run_on_a_bare_image_and_their_tables() {
    let copy = copy("build");
    let database = Database::empty().await;
    let project = json!({
        "projectId": "prj_local",
        "orgId": "team_local",
        "projectName": "textbook-chat",
        "settings": { "framework": null },
    });
    write(
        &copy.join(".vercel/project.json"),
        project.to_string().as_bytes(),
    );
    let output = vercel(&copy)
        .args(["build", "--yes", "--non-interactive"])
        .env("VERCEL_BUILD_IMAGE", "1")
        .env("VERCEL_ENV", "production")
        .env("DATABASE_URL_UNPOOLED", &database.url)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(is_up_to_date(&database).await, "there are no tables");
    the_database_is_left_where_it_should_be(&copy).await;

    let made = copy.join(".vercel/output");
    for (name, limit) in [
        ("chat", 60),
        ("chatkit", 60),
        ("feedback", 60),
        ("health", 60),
        ("refresh", 300),
    ] {
        let config = made.join(format!("functions/api/{name}.func/.vc-config.json"));
        let config: Value = serde_json::from_slice(&fs::read(config).unwrap()).unwrap();
        assert_eq!(config["maxDuration"], limit, "{config}");
        assert_eq!(config["supportsResponseStreaming"], true, "{config}");
        let executable = copy.join(config["filePathMap"]["executable"].as_str().unwrap());
        let libraries = Command::new("ldd").arg(&executable).output().unwrap();
        let libraries = String::from_utf8(libraries.stdout).unwrap();
        assert!(libraries.contains("libc.so"), "{libraries}");
        for library in libraries.lines() {
            let known = SYSTEM_LIBRARIES.iter().any(|known| library.contains(known));
            assert!(known, "{name} needs {library}");
        }
    }
    let functions = names(&made.join("functions/api"));
    assert_eq!(
        functions,
        [
            "chat.func",
            "chatkit.func",
            "feedback.func",
            "health.func",
            "refresh.func"
        ]
    );
    let published = made.join("static");
    assert_eq!(
        names(&published),
        names(&copy.join("public")),
        "nothing but public/ is published"
    );
    assert!(
        published
            .join("vendor/swagger-ui/swagger-ui-bundle.js")
            .exists(),
        "the page of the API has no renderer"
    );

    let loader = fs::read_to_string(published.join("widget.js")).unwrap();
    let version = version(&loader);
    assert_eq!(names(&published.join("widget")), [version]);
    let modules = published.join("widget").join(version);
    assert_eq!(names(&modules), names(&copy.join("public/widget/dev")));
    let vendored = names(&published.join("vendor"));
    assert!(
        vendored.iter().any(|name| name.starts_with("temml-")),
        "nothing draws formulas: {vendored:?}"
    );

    let config = fs::read(made.join("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let rules = config["routes"].as_array().unwrap().iter();
    let caching: Vec<_> = rules
        .filter_map(|rule| Some((rule["src"].as_str()?, rule["headers"].get("cache-control")?)))
        .collect();
    let forever = &json!("public, max-age=31536000, immutable");
    assert_eq!(
        caching,
        [
            (r"^/widget\.js$", &json!("public, max-age=300")),
            ("^/widget/dev(?:/(.*))$", &json!("no-cache")),
            ("^/widget(?:/([0-9a-f]{12}))(?:/(.*))$", forever),
            ("^/vendor/temml-([0-9.]+)(?:/(.*))$", forever),
        ]
    );
}

/// Whether it has the tables, and the functions of some version.
async fn is_up_to_date(database: &Database) -> bool {
    let there = "select to_regclass('messages') is not null and exists (
                     select from pg_namespace where nspname ~ '^turn_[0-9a-f]{8}$'
                 )";
    database.rows(there).await == [["t"]]
}

/// What a build says of the database, and whether it succeeds, where it is not to be changed or cannot
/// be reached.
async fn the_database_is_left_where_it_should_be(copy: &Path) {
    let database = Database::empty().await;
    let nowhere = "postgresql://postgres@127.0.0.1:1/none?sslmode=disable";
    for (environment, preview, url, said, succeeds) in [
        (None, "", &*database.url, "left as it is", true),
        (Some("preview"), "", &database.url, "left as it is", true),
        (
            Some("production"),
            "",
            "",
            "DATABASE_URL_UNPOOLED is not set",
            true,
        ),
        (Some("production"), "", nowhere, "migrate: ", false),
        (Some("preview"), "1", nowhere, "migrate: ", false),
    ] {
        let output = Command::new("sh")
            .arg("build.sh")
            .current_dir(copy)
            .env_remove("VERCEL_ENV")
            .envs(environment.map(|environment| ("VERCEL_ENV", environment)))
            .env("MIGRATE_PREVIEWS", preview)
            .env("DATABASE_URL_UNPOOLED", url)
            .env("CARGO_TARGET_DIR", target())
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert_eq!(output.status.success(), succeeds, "{environment:?}: {told}");
        assert!(told.contains(said), "{environment:?}: {told}");
    }
    assert!(!is_up_to_date(&database).await, "a preview has made tables");
}

/// The version that the widget's loader names.
fn version(loader: &str) -> &str {
    let line = loader
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("const VERSION = '"));
    line.unwrap().strip_suffix("';").unwrap()
}

#[tokio::test]
async fn vercel_dev_answers_through_the_rewrites() {
    let site = Server::of(fixture("mdbook")).await;
    let world = World::new().await.with("BOOK_URL", site.book());
    let world = world.with("CRON_SECRET", "open sesame");
    let copy = copy("dev");
    // `vercel dev` compiles at the first request; compiling is not part of the story.
    cargo(&copy, &["build", "--quiet", "--bins"]);

    let mut command = vercel(&copy);
    command
        .args(["dev", "--local", "--yes", "--non-interactive"])
        .args(["--listen", "127.0.0.1:0"])
        .envs(world.settings().iter().cloned())
        .process_group(0)
        .stderr(Stdio::piped());
    let dev = tokio::process::Command::from(command).spawn();
    let mut dev = Group(dev.unwrap());
    let mut lines = BufReader::new(dev.0.stderr.take().unwrap()).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, url)) = line.split_once("Ready! Available at ") {
                return url.trim().to_owned();
            }
        }
        panic!("vercel dev ended before it was ready");
    };
    let url = tokio::time::timeout(Duration::from_mins(1), ready)
        .await
        .unwrap();
    // What it prints from now on must not fill the pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });

    let http = reqwest::Client::new();
    let health = http.get(format!("{url}/health")).send().await.unwrap();
    assert_eq!(health.status(), 200);
    assert_eq!(health.text().await.unwrap(), r#"{"status":"healthy"}"#);
    let ready = http
        .get(format!("{url}/health?check=ready"))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status(), 200, "{}", ready.text().await.unwrap());

    let ask = async |body: Value| {
        let request = http.post(format!("{url}/chat")).json(&body);
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), 200);
        reply.json::<Value>().await.unwrap()
    };
    let first = ask(json!({ "message": "What is a humanoid robot?" })).await;
    assert_eq!(first["response"], ANSWER);
    let again = ask(json!({ "message": "And?", "session_id": first["session_id"] })).await;
    assert_eq!(again["session_id"], first["session_id"]);
    assert_eq!(world.database.counts().await, (1, 4));
    let threads = json!({ "type": "threads.list", "params": {} });
    let request = http.post(format!("{url}/chatkit")).json(&threads);
    let threads = request.send().await.unwrap().text().await.unwrap();
    assert_eq!(threads, r#"{"data":[],"has_more":false}"#);

    let refresh = async |secret: &str| {
        let request = http.get(format!("{url}/api/refresh")).bearer_auth(secret);
        let reply = request.send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    };
    assert_eq!(refresh("guess").await.0, 401);
    let (status, text) = refresh("open sesame").await;
    assert_eq!(status, 200, "{text}");
    assert!(text.starts_with(r#"{"done":true,"pages":"#), "{text}");

    let page = http.get(&url).send().await.unwrap().text().await.unwrap();
    assert_eq!(
        page,
        fs::read_to_string(copy.join("dist/index.html")).unwrap()
    );
    let loader = http.get(format!("{url}/widget.js")).send().await.unwrap();
    assert_eq!(loader.headers()["access-control-allow-origin"], "*");
    let loader = loader.text().await.unwrap();
    for module in names(&copy.join("public/widget/dev")) {
        let module = format!("{url}/widget/{}/{module}", version(&loader));
        let reply = http.get(&module).send().await.unwrap();
        assert_eq!(reply.status(), 200, "{module}");
        // Its own `cache-control` stands in place of the rule's.
        assert_eq!(reply.headers()["access-control-allow-origin"], "*");
    }
    for private in ["/Cargo.toml", "/src/lib.rs", "/.env.example", "/build.sh"] {
        let reply = http.get(format!("{url}{private}")).send().await.unwrap();
        assert_eq!(reply.status(), 404, "{private}");
    }
    Command::new("kill")
        .arg(dev.0.id().unwrap().to_string())
        .status()
        .unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), dev.0.wait()).await;
    assert!(ended.is_ok(), "vercel dev does not stop");
}

/// A program that leads a process group. If it still runs when the test is over, it ends with all
/// that it has started.
struct Group(tokio::process::Child);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.id() {
            let group = format!("-{leader}");
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        }
    }
}

/// Vercel's command line in a folder, with an environment of its own: no account, no questions.
fn vercel(folder: &Path) -> Command {
    let program = Path::new(ROOT).join("tests/outside/vercel/node_modules/vercel/dist/vc.js");
    assert!(
        program.exists(),
        "Vercel's command line is not there; run: npm ci --prefix tests/outside/vercel --ignore-scripts --omit=optional"
    );
    let inherited = ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME"];
    let inherited = inherited.map(|name| (name, std::env::var_os(name)));
    let inherited = inherited
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let mut command = Command::new("node");
    command
        .arg(program)
        .arg("--global-config")
        .arg(target().join("vercel/config"))
        .current_dir(folder)
        .env_clear()
        .envs(inherited)
        .envs([
            ("VERCEL_TELEMETRY_DISABLED", "1"),
            ("VERCEL_CLI_USE_NATIVE_BINARY", "0"),
            ("NO_UPDATE_NOTIFIER", "1"),
            ("NO_COLOR", "1"),
            ("CARGO_NET_OFFLINE", "true"),
        ])
        // The dependencies that the suite has built serve here, too.
        .env("CARGO_TARGET_DIR", target())
        .stdin(Stdio::null());
    command
}

/// A copy of the files that git knows, in a place that is always the same: cargo builds again
/// what it finds in another one.
fn copy(name: &str) -> PathBuf {
    let folder = target().join("vercel").join(name);
    let known = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(ROOT)
        .output()
        .unwrap();
    assert!(known.status.success(), "this is not a git checkout");
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    for file in String::from_utf8(known.stdout)
        .unwrap()
        .split_terminator('\0')
    {
        let source = Path::new(ROOT).join(file);
        if source.is_file() {
            write(&folder.join(file), &fs::read(source).unwrap());
        }
    }
    // The command line lists the packages of every platform, and has no network for it.
    cargo(&folder, &["fetch", "--quiet", "--locked"]);
    folder
}

fn cargo(folder: &Path, arguments: &[&str]) {
    let status = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .status();
    assert!(status.unwrap().success(), "cargo {arguments:?}");
}

fn write(file: &Path, bytes: &[u8]) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
