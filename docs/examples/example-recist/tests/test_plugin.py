from enfold.testing.laws import PluginLaws


class TestPlugin(PluginLaws):
    plugin = "example_recist"
