//! What a deployment publishes, as `dist.sh` makes it, behind the rules of this project's own
//! `vercel.json`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use anyhow::{Context, Result};
use local::{
    function::Environment,
    gateway::{self, Functions, Gateway, Pages, Routes},
};
use reqwest::{Client, Response, StatusCode, header::HeaderMap, redirect::Policy};

const FOREVER: &str = "public, max-age=31536000, immutable";

/// A checkout with the project's rules and scripts, and a widget of two modules.
struct Checkout(tempfile::TempDir);

impl Checkout {
    fn new() -> Result<Self> {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("this crate is in no workspace")?;
        let checkout = Self(tempfile::tempdir()?);
        for file in ["vercel.json", "dist.sh"] {
            fs::copy(project.join(file), checkout.path(file))?;
        }
        for function in fs::read_dir(project.join("api"))? {
            let name = function?.file_name();
            checkout.write(&format!("api/{}", name.to_string_lossy()), "")?;
        }
        for (file, text) in [
            (
                "widget.js",
                "{\n  const VERSION = 'dev';\n  import(`./widget/${VERSION}/element.js`);\n}\n",
            ),
            ("widget/dev/element.js", "import './panel.js';\n"),
            (
                "widget/dev/panel.js",
                "const LIBRARY = '../../vendor/temml-1.2.3/temml.js';\n",
            ),
            ("vendor/temml-1.2.3/temml.js", "export default {};\n"),
            (
                "page.js",
                "import './widget/dev/panel.js';\nimport './widget/dev/element.js';\n",
            ),
            ("index.html", "<script src=\"widget.js\"></script>\n"),
        ] {
            checkout.write(&format!("public/{file}"), text)?;
        }
        Ok(checkout)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let file = self.path(file);
        fs::create_dir_all(file.parent().context("no folder")?)?;
        Ok(fs::write(file, text)?)
    }

    fn read(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.path(file)).with_context(|| file.to_owned())
    }

    /// Every file of a folder, with what is in it.
    fn files(&self, folder: &str) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let mut files = Vec::new();
        let mut folders = vec![self.path(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let text = fs::read(&path)?;
                    files.push((path, text));
                }
            }
        }
        files.sort();
        Ok(files)
    }

    fn try_publish(&self) -> Result<Output> {
        // From another folder: the script finds its own.
        let mut command = Command::new("sh");
        command.arg(self.path("dist.sh")).current_dir("/");
        Ok(command.output()?)
    }

    /// Runs `dist.sh`, and reads the version out of what it made.
    fn publish(&self) -> Result<String> {
        let output = self.try_publish()?;
        assert!(output.status.success(), "{output:?}");
        let loader = self.read("dist/widget.js")?;
        let version = loader.lines().find_map(|line| {
            line.strip_prefix("  const VERSION = '")?
                .strip_suffix("';")
                .map(str::to_owned)
        });
        version.with_context(|| format!("no version in {loader}"))
    }

    async fn serve(&self, folder: &str, begin_with_book: bool) -> Result<Site> {
        let routes = Routes::read(self.0.path())?;
        let functions = Functions::new(
            Vec::new(),
            self.0.path(),
            self.0.path(),
            Environment::Only(Vec::new()),
            Arc::new(|_: &str, _: &str| {}),
        );
        let listeners = gateway::bind(0).await?;
        let port = listeners[0].local_addr()?.port();
        let pages = Pages {
            public: &self.path(folder),
            book: &self.path(folder),
            book_path: gateway::BOOK,
            begin_with_book,
        };
        let client = Client::builder().no_proxy().redirect(Policy::none());
        Ok(Site {
            _gateway: gateway::serve(
                listeners,
                &pages,
                routes,
                Arc::new(functions),
                Arc::new(|_| ()),
            )?,
            client: client.build()?,
            url: format!("http://127.0.0.1:{port}"),
        })
    }
}

struct Site {
    url: String,
    client: Client,
    _gateway: Gateway,
}

impl Site {
    /// As a page of another origin asks for it.
    async fn get(&self, path: &str) -> Result<Response> {
        let request = self.client.get(format!("{}{path}", self.url));
        Ok(request
            .header("origin", "https://book.example")
            .send()
            .await?)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap_or("not text"))
}

#[tokio::test]
async fn a_page_elsewhere_may_load_the_widget_and_keeps_its_modules_for_good() -> Result<()> {
    let checkout = Checkout::new()?;
    let version = checkout.publish()?;
    let site = checkout.serve("dist", false).await?;
    for (path, caching) in [
        ("/widget.js", "public, max-age=300"),
        (&format!("/widget/{version}/element.js"), FOREVER),
        (&format!("/widget/{version}/panel.js"), FOREVER),
        ("/vendor/temml-1.2.3/temml.js", FOREVER),
    ] {
        let response = site.get(path).await?;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let headers = response.headers();
        assert_eq!(header(headers, "access-control-allow-origin"), "*");
        let policy = header(headers, "cross-origin-resource-policy");
        assert_eq!(policy, "cross-origin", "{path}");
        assert_eq!(header(headers, "cache-control"), caching, "{path}");
        assert_eq!(header(headers, "content-type"), "text/javascript");
        assert_eq!(header(headers, "x-content-type-options"), "nosniff");
    }
    Ok(())
}

#[tokio::test]
async fn a_page_of_its_own_is_for_its_own_origin_and_no_frame() -> Result<()> {
    let checkout = Checkout::new()?;
    let site = checkout.serve("public", false).await?;
    for (path, status) in [
        ("/", StatusCode::OK),
        ("/index.html", StatusCode::OK),
        ("/page.js", StatusCode::OK),
        ("/nothing", StatusCode::NOT_FOUND),
    ] {
        let response = site.get(path).await?;
        assert_eq!(response.status(), status, "{path}");
        let headers = response.headers();
        assert_eq!(header(headers, "access-control-allow-origin"), "");
        assert_eq!(header(headers, "cache-control"), "", "{path}");
        let policy = header(headers, "content-security-policy");
        assert_eq!(policy, "frame-ancestors 'none'", "{path}");
        assert_eq!(header(headers, "referrer-policy"), "strict-origin");
        assert_eq!(header(headers, "x-content-type-options"), "nosniff");
    }
    Ok(())
}

#[tokio::test]
async fn a_module_under_work_is_asked_for_each_time() -> Result<()> {
    let checkout = Checkout::new()?;
    let site = checkout.serve("public", false).await?;
    let response = site.get("/widget/dev/element.js").await?;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(response.headers(), "cache-control"), "no-cache");
    Ok(())
}

#[tokio::test]
async fn a_module_that_is_not_there_is_not_remembered_as_missing() -> Result<()> {
    let checkout = Checkout::new()?;
    let old = checkout.publish()?;
    checkout.write(
        "public/widget/dev/element.js",
        "import './panel.js'; // new\n",
    )?;
    let new = checkout.publish()?;
    assert_ne!(old, new);
    let site = checkout.serve("dist", false).await?;
    let found = site.get(&format!("/widget/{new}/element.js")).await?;
    assert_eq!(found.status(), StatusCode::OK);
    for missing in [
        format!("/widget/{old}/element.js"),
        format!("/widget/{new}/nothing.js"),
        "/widget/dev/element.js".to_owned(),
        "/vendor/temml-1.2.4/temml.js".to_owned(),
    ] {
        let response = site.get(&missing).await?;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{missing}");
        let headers = response.headers();
        assert_eq!(header(headers, "cache-control"), "", "{missing}");
        // The page may read that it is missing.
        assert_eq!(header(headers, "access-control-allow-origin"), "*");
    }
    Ok(())
}

#[test]
fn publishing_again_makes_the_same_again_and_leaves_the_checkout_as_it_is() -> Result<()> {
    let checkout = Checkout::new()?;
    let before = checkout.files("public")?;
    let version = checkout.publish()?;
    let first = checkout.files("dist")?;
    assert_eq!(checkout.publish()?, version);
    assert_eq!(checkout.files("dist")?, first);
    assert_eq!(checkout.files("public")?, before);

    assert!(version.len() == 12 && version.bytes().all(|digit| digit.is_ascii_hexdigit()));
    assert!(!checkout.path("dist/widget/dev").exists());
    // Pages that use modules without the loader name the same folder.
    let page = checkout.read("dist/page.js")?;
    assert_eq!(page.matches(&format!("./widget/{version}/")).count(), 2);
    assert!(!page.contains("/dev/"), "{page}");
    Ok(())
}

#[test]
fn a_version_is_of_the_loader_and_of_every_module_with_its_name() -> Result<()> {
    let checkout = Checkout::new()?;
    let mut versions = vec![checkout.publish()?];
    checkout.write("public/index.html", "another page\n")?;
    assert_eq!(checkout.publish()?, versions[0], "a page is no part of it");
    let loader = checkout.read("public/widget.js")?;
    checkout.write("public/widget.js", &format!("{loader}// more\n"))?;
    versions.push(checkout.publish()?);
    checkout.write("public/widget/dev/panel.js", "")?;
    versions.push(checkout.publish()?);
    fs::rename(
        checkout.path("public/widget/dev/panel.js"),
        checkout.path("public/widget/dev/sheet.js"),
    )?;
    versions.push(checkout.publish()?);
    let different: std::collections::BTreeSet<_> = versions.iter().collect();
    assert_eq!(different.len(), 4, "{versions:?}");
    Ok(())
}

#[test]
fn what_cannot_be_versioned_is_not_published() -> Result<()> {
    let refusal = |file: &str, text: &str| {
        let checkout = Checkout::new()?;
        checkout.write(file, text)?;
        let output = checkout.try_publish()?;
        assert!(!output.status.success(), "{file}");
        anyhow::Ok(String::from_utf8(output.stderr)?)
    };
    let said = refusal("public/widget.js", "const VERSION = 'other';\n")?;
    assert!(said.contains("const VERSION = 'dev';"), "{said}");
    let said = refusal("public/widget/dev/deeper/module.js", "")?;
    assert!(said.contains("deeper is not a file"), "{said}");
    let said = refusal("public/widget/dev/math.js", "'../../vendor/temml-9.9/'")?;
    assert!(said.contains("vendor/temml-9.9/"), "{said}");
    Ok(())
}

#[tokio::test]
async fn the_start_page_is_the_books_where_the_chat_begins_with_it() -> Result<()> {
    let checkout = Checkout::new()?;
    let site = checkout.serve("public", true).await?;
    let start = site.get("/").await?;
    assert_eq!(start.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(header(start.headers(), "location"), "/book/");
    assert_eq!(site.get("/book/").await?.status(), StatusCode::OK);
    let small = site.get("/index.html").await?;
    assert_eq!(small.text().await?, checkout.read("public/index.html")?);

    let site = checkout.serve("public", false).await?;
    let start = site.get("/").await?;
    assert_eq!(start.text().await?, checkout.read("public/index.html")?);
    Ok(())
}
