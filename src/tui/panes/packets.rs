//! stub
use super::*;
/// s
pub struct Packets;
impl Packets {
    /// s
    pub fn new(_: crate::model::Record, _: Option<u64>) -> Packets {
        Packets
    }
}
impl Pane for Packets {
    fn name(&self) -> &'static str {
        "packets"
    }
    fn title(&self) -> String {
        "packets".into()
    }
    fn run(&mut self, _: &str, _: &mut Cx) -> Result<Handled> {
        Ok(Handled::No)
    }
    fn draw(&mut self, _: &mut Frame, _: Rect, _: &View) {}
}
