"""The choice of language in a real browser: the page, its live parts, the link and the tab."""

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_the_whole_page_follows_the_choice_and_the_link_keeps_it(page: Page, address: str):
    page.goto(f"{address}/?from=upload")
    dial = page.locator("fieldset legend").first
    expect(dial).to_have_text("Ask by")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("button", name="中文").or_(page.get_by_role("radio", name="中文")).click()
    expect(dial).to_have_text("设定方式")  # its data differ in nothing but words
    expect(page.locator(".trace .status")).to_contain_text("从出口")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page).to_have_title(re.compile("看图"))
    expect(page).to_have_url(re.compile(r"from=upload.*language=zh|language=zh.*from=upload"))
    page.reload()
    expect(dial).to_have_text("设定方式")
    expect(page.get_by_text("本机的图片")).to_be_visible()  # a choice made in English holds
    page.get_by_role("link", name="权衡").click()
    expect(page.locator(".lab h4").first).to_have_text("准确率")
    expect(page).to_have_url(re.compile("language=zh"))
