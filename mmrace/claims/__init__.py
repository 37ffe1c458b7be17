"""What the mail of December 2011 claims of the protocol, each claim with its programs, its judge and its evidence.

CLAIMS.md, beside this file, tells each claim in own words, with its parts and what their suffixes mean:

    C0  commit without page lock    C5  copy and commit apart       C10  tested as a black box only
    C1  order of events             C6  copy and writeback apart    C11  async locks buffers first
    C2  copy under all locks        C7  lookup during replace       C12  async does not block
    C3  no other reference          C8  strip under page lock       C13  SYNC_LIGHT does not write
    C4  commit takes buffer lock    C9  private_lock not needed     C14  nobody else at the page

    C15 async moves dirty pages     C17 refused is as it was        C19  sync became mode
    C16 dirty pages are skipped     C18 fails gracefully            C20  compaction for huge pages

`judges/` has a file for each; `programs.py` says what puts them to the test; `driver.py` does it, by `sampling.py`,
`walking.py` and `witnesses.py`; `result.py` is what comes of it, `across.py` that of several eras, and `mail.py` writes
MAIL.md of it: the mail, sentence by sentence.
"""
