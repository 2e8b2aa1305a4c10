//! stub
use super::*;
/// s
pub struct Trail;
impl Trail {
    /// s
    pub fn new() -> Trail {
        Trail
    }
}
impl Pane for Trail {
    fn name(&self) -> &'static str {
        "trail"
    }
    fn title(&self) -> String {
        "trail".into()
    }
    fn run(&mut self, _: &str, _: &mut Cx) -> Result<Handled> {
        Ok(Handled::No)
    }
    fn draw(&mut self, _: &mut Frame, _: Rect, _: &View) {}
}
