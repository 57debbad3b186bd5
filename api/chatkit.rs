//! The function `chatkit`: see [`textbook_chat::chatkit`].

use textbook_chat::{chatkit, function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    function::run(&chatkit::ROUTE).await
}
