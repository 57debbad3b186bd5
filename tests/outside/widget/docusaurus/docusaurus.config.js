// The site of the tests. The tag's address is a stand-in: the static server of the tests puts the
// deployment's own in its place, so that one build serves every run.

import rehypeKatex from 'rehype-katex';
import remarkMath from 'remark-math';

export default {
  title: 'Robots That Walk',
  tagline: 'A small textbook',
  url: 'https://book.example',
  baseUrl: '/',
  onBrokenLinks: 'throw',
  onBrokenAnchors: 'throw',
  i18n: { defaultLocale: 'en', locales: ['en', 'ur'], localeConfigs: { ur: { direction: 'rtl' } } },
  // The one thing that an owner adds.
  scripts: [{ src: 'https://deployment.example/widget.js', defer: true }],
  presets: [
    [
      'classic',
      {
        docs: { remarkPlugins: [remarkMath], rehypePlugins: [rehypeKatex] },
        blog: { onInlineAuthors: 'ignore', onUntruncatedBlogPosts: 'ignore' },
        theme: { customCss: './src/css/custom.css' },
      },
    ],
  ],
  themeConfig: {
    colorMode: { respectPrefersColorScheme: true },
    navbar: {
      title: 'Robots That Walk',
      items: [
        { to: '/docs/sensors', label: 'Book', position: 'left' },
        { to: '/blog', label: 'Notes', position: 'left' },
        { type: 'localeDropdown', position: 'right' },
      ],
    },
  },
};
