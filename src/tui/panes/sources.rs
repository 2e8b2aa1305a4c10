//! stub
use super::*;
/// s
pub struct Sources;
impl Sources {
    /// s
    pub fn new() -> Sources {
        Sources
    }
}
impl Pane for Sources {
    fn name(&self) -> &'static str {
        "sources"
    }
    fn title(&self) -> String {
        "sources".into()
    }
    fn run(&mut self, _: &str, _: &mut Cx) -> Result<Handled> {
        Ok(Handled::No)
    }
    fn draw(&mut self, _: &mut Frame, _: Rect, _: &View) {}
}
