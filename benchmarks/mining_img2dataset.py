"""img2dataset's downloader on a file of URLs, for benchmarks.mining: bytes kept as they come, no pictures decoded.

.venv-img2dataset/bin/python benchmarks/mining_img2dataset.py URLS OUTPUT_FOLDER THREADS TIMEOUT
"""

import sys

if __name__ == "__main__":  # it starts processes
    from img2dataset import download

    urls, folder, threads, timeout = sys.argv[1:]
    download(
        url_list=urls,
        input_format="txt",
        output_folder=folder,
        output_format="webdataset",
        disable_all_reencoding=True,
        resize_mode="no",
        processes_count=1,
        thread_count=int(threads),
        number_sample_per_shard=10_000,
        compute_hash="md5",
        timeout=int(timeout),
        retries=2,
        disallowed_header_directives=["noai", "noimageai", "noindex", "noimageindex"],
        user_agent_token="QwenSVG-miner",
    )
