// How a query finds pages. MiniSearch keeps the terms of each section and weighs them (BM25 over fields). Here stands
// what it leaves to its users: how text is cut into terms, which other words a query stands for, and how sections
// make a page. The site and its tests run this same code; the words that mean the same come with the index.
(() => {
  "use strict";
  const HAN = /[\u3400-\u9fff]/;
  const WORDS = /[\u3400-\u9fff]+|[a-z0-9_]+(?:[.'’-]+[a-z0-9_]+)*/gi;
  const WEIGHTS = { title: 2, heading: 3, text: 1, names: 0.7 };
  const PART = 0.4; // of a name that the site does not have as a whole, such as fused_adam; 0.2 of one that it has
  const SYNONYM = 0.8; // of a word that the site does not have; 0.3 of one that it has
  const FURTHER = 0.5; // each further section of a page counts half as much as the one before
  const ASIDE = 0.3; // a page that touches on everything comes after the one that explains it

  // What a question is asked with, not what it asks for. Chinese is cut at such words.
  const FILLERS = new Set(
    ("a an and are as at be but by can could did do does doing for from get give got had has have how i if in into is it its me my need " +
      "not of on or our please shall should show so some than that the their them then there these this to use using want was way we " +
      "what when where which while who why will with work works would you your").split(" "));
  const HAN_FILLERS =
    /怎么样|怎么办|怎么|怎样|如何|为什么|为何|什么是|是什么|什么|哪些|哪个|哪里|请问|应该|可以|能不能|要不要|是否|有没有|有什么|需要|出现|时候|一下|一个|自己的|[的了吗呢吧啊是在和与或把被让给对从到用会能要我你它们这那有]/g;

  // The common form of an English word's plural, verb forms and British spelling. It need not be a word.
  function stem(word) {
    if (word.length < 4 || !/^[a-z]+$/.test(word)) return word;
    return word
      .replace(/i[sz]ations?$/, "ize").replace(/is(e[drs]?|ing|ers)$/, "iz$1").replace(/our$/, "or")
      .replace(/(..[aeiou].*[^s])s$|(ss|us)es$/, "$1$2").replace(/^(.*[aeiouy].*)(ing|ed)$/, "$1").replace(/(?<=..)(e|ation)$/, "")
      .replace(/y$/, "i").replace(/([^aeiou])\1$/, "$1");
  }

  // The terms of a word: pairs of Chinese characters, or a name whole and in parts (nn.conv2d, conv2d, conv, 2d).
  function cut(word) {
    if (HAN.test(word)) return word.length < 2 ? [word] : [...word].slice(1).map((character, i) => word[i] + character);
    const names = word.split(".");
    const terms = names.length > 1 ? [word.toLowerCase()] : [];
    for (const name of names) {
      const parts = name.match(/[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+|\d+[a-z]*/g) ?? [];
      for (const part of [name.replace(/[^a-z0-9]+/gi, ""), ...parts]) terms.push(stem(part.toLowerCase()));
    }
    return [...new Set(terms)].filter((term) => /[a-z]/.test(term) && !/^\d+x\d+$/.test(term));
  }
  const cuts = new Map(); // the same words come again and again
  function cutOnce(word) {
    if (!cuts.has(word)) cuts.set(word, cut(word));
    return cuts.get(word);
  }
  const split = (text) => text.match(WORDS) ?? [];
  const toTerms = (text) => split(text).flatMap(cutOnce);
  // The words of a text in one string, to look for names in it. A dotted name is one word, a hyphen parts two.
  const toKey = (text) => ` ${split(text.replace(/[-_]/g, " ")).map((word) => cutOnce(word)[0] ?? word).join(" ")} `;

  async function createSearch(MiniSearch, pages, { synonyms, traditional, aside: pagesAside }) {
    const aside = new Set(pagesAside);
    const simplified = new Map(traditional.match(/../gu).map((pair) => [...pair]));
    const known = new Set();
    const index = new MiniSearch({
      fields: Object.keys(WEIGHTS),
      tokenize: (text) => toTerms(text).map((term) => (known.add(term), term)),
      processTerm: (term) => term,
    });
    const sections = pages.flatMap(([url, title, parts]) =>
      parts.map(([anchor, heading, text, names], i) => ({ url, title, anchor: i ? anchor : "", heading, text, names })));
    // A phone must answer between two chunks.
    await index.addAllAsync(sections.map((section, id) => ({ ...section, id })), { chunkSize: 10 });

    const isKnown = (name) => toTerms(name).every((term) => known.has(term));
    const simplify = (query) => [...query.normalize("NFKC")].map((character) => simplified.get(character) ?? character).join("");

    // The words that a query asks for. A single word is always asked for: it may be torch's "where".
    function wordsOf(query) {
      if (/^\w+$/.test(query.trim())) return split(query);
      return split(query.replace(HAN_FILLERS, " ")).filter((word) => !FILLERS.has(word.toLowerCase()));
    }

    // Known words in which two letters of this one changed places.
    const swapped = (word) =>
      word.length < 5 ? [] : [...word].slice(1).map((letter, i) => word.slice(0, i) + letter + word[i] + word.slice(i + 2)).filter((other) => known.has(other));

    // Search for the terms of a query, their weights, and the other names of things that the site does not call so.
    function understand(query) {
      const weights = new Map();
      const others = new Set();
      const add = (term, weight) => weights.set(term, Math.max(weight, weights.get(term) ?? 0));
      for (const word of wordsOf(query)) {
        const [whole, ...parts] = cutOnce(word);
        if (!whole) continue;
        add(whole, 1);
        for (const part of parts) add(part, HAN.test(word) ? 1 : known.has(whole) ? PART / 2 : PART);
        if (!known.has(whole)) for (const other of swapped(whole)) add(other, SYNONYM);
      }
      const [text, key] = [query.toLowerCase(), toKey(query)];
      const isSaid = (name) => (!HAN.test(name) ? key.includes(toKey(name)) : name.length > 1 ? text.includes(name) : text === name);
      for (const group of synonyms) {
        const said = group.find(isSaid);
        for (const other of said ? group.filter((name) => name !== said && isKnown(name)) : []) {
          for (const term of toTerms(other)) add(term, isKnown(said) ? 0.3 : SYNONYM);
          if (!isKnown(said)) others.add(other);
        }
      }
      return { weights, others: [...others] };
    }

    // Rank all pages that have any of the terms: { results: [{ section, terms }], others }.
    function search(query) {
      const { weights, others } = understand(simplify(query));
      const terms = [...weights.keys()];
      const isUnknown = (term) => !known.has(term);
      const found = index.search("", {
        tokenize: () => terms,
        boost: WEIGHTS,
        boostTerm: (term) => weights.get(term),
        prefix: (term, i) => (HAN.test(term) ? term.length < 2 : term.length > 2 && (isUnknown(term) || i === terms.length - 1)),
        fuzzy: (term) => /^[a-z]{5,}$/.test(term) && isUnknown(term) && 1, // one typo
      });
      // The library multiplies a score by the number of terms found; it should be by their weights.
      for (const each of found) each.score *= each.queryTerms.reduce((sum, term) => sum + weights.get(term), 0) / each.queryTerms.length;
      found.sort((a, b) => b.score - a.score || a.id - b.id);
      const results = new Map();
      for (const { id, score, terms } of found) {
        const { url } = sections[id];
        if (!results.has(url)) results.set(url, { section: sections[id], terms: new Set(terms), score: 0, weight: 1 });
        const page = results.get(url);
        page.score += score * page.weight * (aside.has(url) ? ASIDE : 1);
        page.weight *= FURTHER;
      }
      return { results: [...results.values()].sort((a, b) => b.score - a.score), others };
    }

    // The sections whose headings look most like a query that found nothing.
    function nearest(query) {
      const terms = wordsOf(simplify(query)).flatMap(cutOnce);
      const found = index.search("", { tokenize: () => terms, fields: ["heading"], fuzzy: 0.4, maxFuzzy: 4, prefix: true });
      return found.slice(0, 5).map(({ id }) => sections[id]);
    }
    return { search, nearest };
  }

  // Where terms stand in a text: [from, to, term], in order.
  function locate(text, terms) {
    const places = [];
    for (const { 0: word, index } of text.matchAll(WORDS)) {
      cutOnce(word).forEach((term, i) => {
        if (terms.has(term)) places.push(HAN.test(word) ? [index + i, index + i + term.length, term] : [index, index + word.length, term]);
      });
    }
    return places;
  }

  globalThis.handbookSearch = { createSearch, locate };
})();
